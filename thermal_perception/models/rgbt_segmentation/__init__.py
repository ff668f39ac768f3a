"""RGB-T segmentation: what every pixel of a thermal and a colour image of one view shows."""
