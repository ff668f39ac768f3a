"""Scores of files on disk, whatever tool wrote them.

`score_fused_images`, `score_label_maps`, `score_pedestrians` and `score_oriented_boxes` read one
kind each and return the scorer that holds all images, with what was left out.
"""

from thermal_perception.evaluation.from_files.fusion import score_fused_images
from thermal_perception.evaluation.from_files.oriented import score_oriented_boxes
from thermal_perception.evaluation.from_files.pedestrians import score_pedestrians
from thermal_perception.evaluation.from_files.segmentation import score_label_maps

__all__ = ['score_fused_images', 'score_label_maps', 'score_oriented_boxes', 'score_pedestrians']
