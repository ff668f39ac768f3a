"""Arrays of `vision_msgs` as `Detections` and `Boxes3D`, whoever made the message.

Works on messages of rclpy and of rosbags alike. Needs neither installed.
"""

from __future__ import annotations

from typing import Any, Protocol, TYPE_CHECKING

import numpy as np

from thermal_perception.decode import stamp_ns_of
from thermal_perception.errors import DatasetError
from thermal_perception.types import Boxes3D, Detections

if TYPE_CHECKING:
    from collections.abc import Sequence


class DetectionArrayLike(Protocol):
    """The fields of `vision_msgs/Detection2DArray` that are read."""

    header: Any
    detections: Sequence[Any]


def to_detections(
    message: DetectionArrayLike,
    class_names: Sequence[str] | None = None,
    image_size: tuple[int, int] = (0, 0),
) -> Detections:
    """Turn a message into arrays, keeping its order.

    Of several hypotheses the one with the best score counts; a detection without any is left
    out. In a ground-truth message the score is the visible fraction of the object.

    Args:
        message: detections of one image.
        class_names: every name that `class_id` may hold; None takes those of the message, in
            order of the alphabet.
        image_size: (height, width) of the image, which the message does not tell.

    Raises:
        DatasetError: if a `class_id` is none of `class_names`.
    """
    answered = [d for d in message.detections if len(d.results)]
    best = [max((r.hypothesis for r in d.results), key=lambda h: h.score) for d in answered]
    found_names = {hypothesis.class_id for hypothesis in best}
    names = tuple(sorted(found_names) if class_names is None else class_names)
    if unknown := sorted(found_names.difference(names)):
        raise DatasetError(
            f'detections: unknown class {unknown[0]!r}; expected one of {", ".join(names)}'
        )
    return Detections(
        np.asarray([_corners(d.bbox) for d in answered], np.float32).reshape(-1, 4),
        np.asarray([h.score for h in best], np.float32),
        np.asarray([names.index(h.class_id) for h in best], np.int64),
        names,
        stamp_ns_of(message.header),
        message.header.frame_id,
        image_size,
    )


def _corners(box: Any) -> tuple[float, float, float, float]:
    """Return x1, y1, x2, y2 of an upright `vision_msgs/BoundingBox2D`."""
    centre, half_x, half_y = box.center.position, box.size_x / 2, box.size_y / 2
    return centre.x - half_x, centre.y - half_y, centre.x + half_x, centre.y + half_y


class Detection3DArrayLike(Protocol):
    """The fields of `vision_msgs/Detection3DArray` that are read."""

    header: Any
    detections: Sequence[Any]


def to_boxes_3d(message: Detection3DArrayLike) -> Boxes3D:
    """Turn a message into upright boxes, keeping its order.

    Of several hypotheses the one with the best score counts; a detection without any is left
    out. Headings are those of the x axes, seen from above.
    """
    answered = [d for d in message.detections if len(d.results)]
    best = [max((r.hypothesis for r in d.results), key=lambda h: h.score) for d in answered]
    names = tuple(sorted({hypothesis.class_id for hypothesis in best}))
    centres = [d.bbox.center.position for d in answered]
    sizes = [d.bbox.size for d in answered]
    turns = [d.bbox.center.orientation for d in answered]
    return Boxes3D(
        np.array([(c.x, c.y, c.z) for c in centres], np.float64).reshape(-1, 3),
        np.array([(s.x, s.y, s.z) for s in sizes], np.float64).reshape(-1, 3),
        np.array([_heading(q) for q in turns], np.float64),
        np.array([h.score for h in best], np.float32),
        np.array([names.index(h.class_id) for h in best], np.int64),
        names,
        np.array([int(d.id) if d.id.isdecimal() else -1 for d in answered], np.int64),
        stamp_ns_of(message.header),
        message.header.frame_id,
    )


def _heading(q: Any) -> float:
    """Return where a quaternion's x axis points, radians about z."""
    return float(np.arctan2(2 * (q.x * q.y + q.w * q.z), 1 - 2 * (q.y**2 + q.z**2)))
