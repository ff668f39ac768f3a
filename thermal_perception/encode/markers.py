"""3D boxes as markers for a viewer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from thermal_perception.encode.header import to_header
from thermal_perception.encode.motion import to_pose, to_vector

if TYPE_CHECKING:
    from thermal_perception.types import Boxes3D

_COLOURS = ((0.2, 0.8, 0.3), (0.95, 0.6, 0.1), (0.3, 0.6, 1.0), (0.9, 0.3, 0.6))


def to_markers(boxes: Boxes3D) -> MarkerArray:
    """Draw boxes as half transparent cubes, one colour per class; what was drawn before goes."""
    header = to_header(boxes.stamp_ns, boxes.frame_id)
    markers = [Marker(header=header, action=Marker.DELETEALL)]
    for index in range(len(boxes)):
        yaw = float(boxes.yaws_rad[index])
        label = int(boxes.labels[index])
        red, green, blue = _COLOURS[label % len(_COLOURS)]
        alpha = 0.25 + 0.5 * float(boxes.scores[index])
        markers.append(
            Marker(
                header=header,
                ns=boxes.class_names[label],
                id=index,
                type=Marker.CUBE,
                action=Marker.ADD,
                pose=to_pose([*boxes.centres_m[index], 0, 0, np.sin(yaw / 2), np.cos(yaw / 2)]),
                scale=to_vector(boxes.sizes_m[index]),
                color=ColorRGBA(r=red, g=green, b=blue, a=alpha),
            )
        )
    return MarkerArray(markers=markers)
