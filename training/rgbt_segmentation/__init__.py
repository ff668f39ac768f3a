"""What RGB-T segmentation is trained with: the losses of its label maps, and the recipe."""
