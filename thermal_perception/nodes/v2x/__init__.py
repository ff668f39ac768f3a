"""What the nodes of EMIFF share: one calibrated camera, and the thread that works on it."""
