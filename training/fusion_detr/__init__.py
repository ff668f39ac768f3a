"""How Fusion DETR is trained: matching, losses, and the task that joins them to the network."""
