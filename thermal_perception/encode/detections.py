"""Detections to vision_msgs/Detection2DArray."""

from __future__ import annotations

import itertools
from typing import NamedTuple, TYPE_CHECKING

from vision_msgs.msg import Detection2D, Detection2DArray, ObjectHypothesisWithPose

from thermal_perception.encode.header import to_header

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vision_msgs.msg import BoundingBox2D, ObjectHypothesis, Point2D

    from thermal_perception.types import Detections


class _Slot(NamedTuple):
    """A Detection2D with one hypothesis, and direct references to what changes in it."""

    message: Detection2D
    hypothesis: ObjectHypothesis
    box: BoundingBox2D
    centre: Point2D

    @classmethod
    def make(cls) -> _Slot:
        message = Detection2D(results=[ObjectHypothesisWithPose()])
        box = message.bbox
        return cls(message, message.results[0].hypothesis, box, box.center.position)


class DetectionEncoder:
    """Builds Detection2DArray messages and uses their parts again.

    A Detection2D consists of ten nested messages, and constructing them costs 20 us per box in
    Python; setting the seven values that matter costs 1 us. A message is therefore valid until
    the next call: publish it, do not keep it. Not thread-safe.
    """

    def __init__(self) -> None:
        self._slots: list[_Slot] = []

    def __call__(
        self, detections: Detections, ids: Sequence[str] | None = None
    ) -> Detection2DArray:
        """Encode boxes in their order.

        `class_id` is the lower-case class name. Header and boxes are those of the source image:
        centre and size in raw thermal pixels, where the image spans 0..width and 0..height.

        Args:
            detections: the boxes.
            ids: what tells one object from the others over time, for each box; None if unknown.
        """
        header = to_header(detections.stamp_ns, detections.frame_id)
        slots = self._reserve(len(detections))
        names = detections.class_names
        for slot, (x1, y1, x2, y2), score, label, identity in zip(
            slots,
            detections.boxes_xyxy_px.tolist(),
            detections.scores.tolist(),
            detections.labels.tolist(),
            itertools.repeat('') if ids is None else ids,
        ):
            slot.message.header = header
            slot.message.id = identity
            slot.hypothesis.class_id = names[label]
            slot.hypothesis.score = score
            slot.centre.x = (x1 + x2) / 2
            slot.centre.y = (y1 + y2) / 2
            slot.box.size_x = x2 - x1
            slot.box.size_y = y2 - y1
        return Detection2DArray(header=header, detections=[slot.message for slot in slots])

    def _reserve(self, n: int) -> list[_Slot]:
        while len(self._slots) < n:
            self._slots.append(_Slot.make())
        return self._slots[:n]


def to_detection2d_array(
    detections: Detections, ids: Sequence[str] | None = None
) -> Detection2DArray:
    """Encode into a message of its own, which may be kept; see `DetectionEncoder`."""
    return DetectionEncoder()(detections, ids)
