"""What nodes with a model have: one inference at a time, results, their state."""
