"""`vision_msgs/Detection2DArray` as `Detections`, whoever made the message.

Works on messages of rclpy and of rosbags alike. Needs neither installed.
"""

from __future__ import annotations

from typing import Any, Protocol, TYPE_CHECKING

import numpy as np

from thermal_perception.decode import stamp_ns_of
from thermal_perception.errors import DatasetError
from thermal_perception.types import Detections

if TYPE_CHECKING:
    from collections.abc import Sequence


class DetectionArrayLike(Protocol):
    """The fields of `vision_msgs/Detection2DArray` that are read."""

    header: Any
    detections: Sequence[Any]


def to_detections(
    message: DetectionArrayLike,
    class_names: Sequence[str],
    image_size: tuple[int, int] = (0, 0),
) -> Detections:
    """Turn a message into arrays, keeping its order.

    Of several hypotheses the one with the best score counts; a detection without any is left
    out. In a ground-truth message the score is the visible fraction of the object.

    Args:
        message: detections of one image.
        class_names: every name that `class_id` may hold.
        image_size: (height, width) of the image, which the message does not tell.

    Raises:
        DatasetError: if a `class_id` is none of `class_names`.
    """
    rows, scores, labels = [], [], []
    for detection in message.detections:
        if not len(detection.results):
            continue
        best = max((r.hypothesis for r in detection.results), key=lambda h: h.score)
        if best.class_id not in class_names:
            raise DatasetError(
                f'detections: unknown class {best.class_id!r}; '
                f'expected one of {", ".join(class_names)}'
            )
        centre, box = detection.bbox.center.position, detection.bbox
        half_x, half_y = box.size_x / 2, box.size_y / 2
        rows.append((centre.x - half_x, centre.y - half_y, centre.x + half_x, centre.y + half_y))
        scores.append(best.score)
        labels.append(class_names.index(best.class_id))
    return Detections(
        np.asarray(rows, np.float32).reshape(-1, 4),
        np.asarray(scores, np.float32),
        np.asarray(labels, np.int64),
        tuple(class_names),
        stamp_ns_of(message.header),
        message.header.frame_id,
        image_size,
    )
