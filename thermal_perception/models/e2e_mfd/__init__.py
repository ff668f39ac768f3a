"""E2E-MFD: one network that gives a fused image and detections from thermal and RGB."""
