"""From a network's raw output to results in source pixels."""

from thermal_perception.postprocess.components import find_components, MIN_AREA_PX
from thermal_perception.postprocess.detections import top_detections, without_repetitions
from thermal_perception.postprocess.fused_image import fused_image
from thermal_perception.postprocess.label_map import label_map

__all__ = [
    'find_components',
    'fused_image',
    'label_map',
    'MIN_AREA_PX',
    'top_detections',
    'without_repetitions',
]
