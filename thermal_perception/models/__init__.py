"""Networks as plain PyTorch modules."""
