"""What the demo has seen of a node that labels pixels: shares of classes, agreement with truth."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TYPE_CHECKING

import numpy as np

from thermal_perception.class_sets import background_label
from thermal_perception.cli.demo.state import DemoState
from thermal_perception.decode import stamp_ns_of
from thermal_perception.evaluation.segmentation import (
    confusion_matrix,
    IGNORE,
    segmentation_metrics,
)
from thermal_perception.simulation import SEMANTIC_NAMES
from thermal_perception.types import SegmentationMask

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

_WAITING = 30
_OTHER_NAMES = {'bicycle': 'bike'}
_NEVER_BACKGROUND = ('other_vehicle',)


class LabelState(DemoState['SegmentationMask']):
    """Counts label images and compares them with the simulator's of the same stamp."""

    waiting = _WAITING

    def __init__(self, class_names: Sequence[str], *, live: bool = True) -> None:
        """Start from nothing; `class_names` are the model's, `live` as in `DemoState`."""
        super().__init__(live=live)
        self._names = tuple(class_names)
        self._ids = simulated_ids(class_names)
        self._background = background_label(class_names)
        classes = len(self._names)
        self._now = self._sum = np.zeros(classes)
        self._matrix = np.zeros((classes, classes), np.int64)

    def read_answer(self, message: Any) -> SegmentationMask:
        """Read a label image of the node."""
        return _to_mask(message, self._names)

    def read_truth(self, message: Any) -> SegmentationMask:
        """Read a label image of the simulator, as the model's labels."""
        mask = _to_mask(message, SEMANTIC_NAMES)
        return replace(mask, labels=self._ids[mask.labels], class_names=self._names)

    @property
    def found(self) -> bool:
        """True once a pixel was something."""
        return any(self.by_class.values())

    @property
    def now_by_class(self) -> Mapping[str, float]:
        """Share of the latest image that each class has, 0..1, without the background."""
        return self._named(self._now)

    @property
    def by_class(self) -> Mapping[str, float]:
        """The same on average over all images."""
        return self._named(self._sum / max(self.frames, 1))

    @property
    def scores(self) -> Mapping[str, float | None]:
        """Mean IoU of the classes that the simulator shows, and each of theirs; None unknown.

        A class that it never shows has no IoU of its own: where it is found, it is the others'
        pixels that are missed.
        """
        per_class = segmentation_metrics(self._matrix, self._names).per_class
        known = {name: m.IoU or 0.0 for name, m in per_class.items() if m.pixels}
        mean = float(np.mean(list(known.values()))) if known else None
        return {'mIoU': mean, **{f'IoU of {name}': value for name, value in known.items()}}

    def to_json(self) -> dict[str, Any]:
        """Return what is for the summary."""
        return {**super().to_json(), 'share_by_class': dict(self.by_class), **self.scores}

    def _count(self, answer: SegmentationMask) -> None:
        counts = np.bincount(answer.labels.ravel(), minlength=len(self._names))
        self._now = counts / answer.labels.size
        self._sum = self._sum + self._now

    def _compare(self, answer: SegmentationMask, truth: SegmentationMask) -> None:
        self._matrix += confusion_matrix(answer.labels, truth.labels, len(self._names))

    def _named(self, shares: NDArray[np.float64]) -> dict[str, float]:
        return {
            name: float(share)
            for label, (name, share) in enumerate(zip(self._names, shares))
            if label != self._background and share
        }


def _to_mask(message: Any, class_names: Sequence[str]) -> SegmentationMask:
    """Read a mono8 image of labels."""
    rows = np.frombuffer(message.data, np.uint8).reshape(message.height, message.step)
    stamp_ns, frame_id = stamp_ns_of(message.header), message.header.frame_id
    return SegmentationMask(rows[:, : message.width], tuple(class_names), stamp_ns, frame_id)


def simulated_ids(class_names: Sequence[str]) -> NDArray[np.uint8]:
    """Return (256,) a model's id for each of the simulator's labels.

    What the model has no name for is background, if it has that; a vehicle of a kind that it
    does not tell from cars is nothing that could be right or wrong.
    """
    background = background_label(class_names)
    rest = IGNORE if background is None else background
    ids = np.full(256, IGNORE, np.uint8)
    for label, ours in enumerate(SEMANTIC_NAMES):
        theirs = [n for n in (ours, _OTHER_NAMES.get(ours, ours)) if n in class_names]
        unknown = IGNORE if ours in _NEVER_BACKGROUND else rest
        ids[label] = list(class_names).index(theirs[0]) if theirs else unknown
    return ids
