"""From a network's raw output to results in source pixels."""

from thermal_perception.postprocess.detections import top_detections

__all__ = ['top_detections']
