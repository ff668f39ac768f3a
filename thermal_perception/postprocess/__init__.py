"""From a network's raw output to results in source pixels."""

from thermal_perception.postprocess.detections import top_detections, without_repetitions
from thermal_perception.postprocess.fused_image import fused_image

__all__ = ['fused_image', 'top_detections', 'without_repetitions']
