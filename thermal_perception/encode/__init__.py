"""Records to ROS messages. Needs the message packages, but neither rclpy nor torch."""

from thermal_perception.encode.detections import DetectionEncoder, to_detection2d_array
from thermal_perception.encode.header import to_header, to_time
from thermal_perception.encode.image import to_compressed_image, to_image
from thermal_perception.encode.label_overlay import LabelPainter
from thermal_perception.encode.labels import (
    to_classification,
    to_label_info,
    to_named_values,
    to_palette,
)
from thermal_perception.encode.markers import to_markers
from thermal_perception.encode.motion import (
    to_camera_info,
    to_detection3d_array,
    to_odometry,
)
from thermal_perception.encode.overlay import draw_overlay, to_display, to_encoding
from thermal_perception.encode.serialized import serialize_detections

__all__ = [
    'DetectionEncoder',
    'draw_overlay',
    'LabelPainter',
    'serialize_detections',
    'to_camera_info',
    'to_classification',
    'to_compressed_image',
    'to_detection2d_array',
    'to_detection3d_array',
    'to_display',
    'to_encoding',
    'to_header',
    'to_image',
    'to_label_info',
    'to_markers',
    'to_named_values',
    'to_odometry',
    'to_palette',
    'to_time',
]
