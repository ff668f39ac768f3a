"""What E2E-MFD is trained with: the losses of the fused image and of the detections."""
