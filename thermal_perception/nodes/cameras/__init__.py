"""What comes in: images from topics, checked, paired and registered."""
