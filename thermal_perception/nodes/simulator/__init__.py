"""What the node of simulated cameras publishes, and the faults it can have."""
