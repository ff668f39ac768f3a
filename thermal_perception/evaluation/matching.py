"""Precision and recall at one threshold, as a person watching the picture would count them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thermal_perception.types import Detections


@dataclass(frozen=True)
class MatchingRules:
    """Which object must be found, and when it counts as found.

    Attributes:
        iou: least intersection over union of a box with its object.
        min_visibility: least visible fraction of an object that must be found.
        min_height_px: least height of an object that must be found, pixels.
    """

    iou: float = 0.5
    min_visibility: float = 0.5
    min_height_px: float = 8.0


@dataclass(frozen=True)
class MatchCount:
    """How the boxes of some images met the objects; add two to join them.

    Attributes:
        found: objects with a matching box.
        missed: objects without one.
        false: boxes that match nothing.
        ignored: boxes on objects that need not be found.
    """

    found: int = 0
    missed: int = 0
    false: int = 0
    ignored: int = 0

    def __add__(self, other: MatchCount) -> MatchCount:
        """Join the counts of two sets of images."""
        return MatchCount(
            self.found + other.found,
            self.missed + other.missed,
            self.false + other.false,
            self.ignored + other.ignored,
        )

    @property
    def precision(self) -> float | None:
        """Fraction of boxes that match an object, None without any box."""
        boxes = self.found + self.false
        return self.found / boxes if boxes else None

    @property
    def recall(self) -> float | None:
        """Fraction of objects that were found, None without any object."""
        objects = self.found + self.missed
        return self.found / objects if objects else None


@dataclass(frozen=True)
class Matching:
    """Which box met which object.

    Attributes:
        partner: (N,) index of each box's object, -1 for none.
        ignored: (N,) bool, boxes on objects that need not be found.
        required: (M,) bool, objects that must be found.
    """

    partner: NDArray[np.int64]
    ignored: NDArray[np.bool_]
    required: NDArray[np.bool_]

    @property
    def false(self) -> NDArray[np.bool_]:
        """(N,) bool, boxes that match nothing."""
        return (self.partner < 0) & ~self.ignored

    @property
    def missed(self) -> NDArray[np.bool_]:
        """(M,) bool, objects that must be found and were not."""
        missed = self.required.copy()
        missed[self.partner[self.partner >= 0]] = False
        return missed

    @property
    def count(self) -> MatchCount:
        """The same as numbers."""
        return MatchCount(
            found=int((self.partner >= 0).sum()),
            missed=int(self.missed.sum()),
            false=int(self.false.sum()),
            ignored=int(self.ignored.sum()),
        )


def count_matches(
    found: Detections, truth: Detections, rules: MatchingRules | None = None
) -> MatchCount:
    """Match and count; see `match_boxes`."""
    return match_boxes(found, truth, rules).count


def match_boxes(
    found: Detections, truth: Detections, rules: MatchingRules | None = None
) -> Matching:
    """Match boxes to objects of the same class, best score first, each object once.

    Args:
        found: boxes above the score threshold in use.
        truth: objects; their `scores` are the visible fractions.
        rules: what counts; objects below its limits are neither required nor false.
    """
    rules = rules or MatchingRules()
    heights = truth.boxes_xyxy_px[:, 3] - truth.boxes_xyxy_px[:, 1]
    required = (truth.scores >= rules.min_visibility) & (heights >= rules.min_height_px)
    iou = box_iou(found.boxes_xyxy_px, truth.boxes_xyxy_px)  # (boxes, objects)
    same_class = _names(found)[:, None] == _names(truth)[None, :]
    allowed = same_class & (iou >= rules.iou)
    partner = np.full(len(found), -1, np.int64)
    free = required.copy()
    for row in np.argsort(-found.scores, kind='stable'):
        candidates = np.flatnonzero(allowed[row] & free)
        if candidates.size:
            partner[row] = candidates[np.argmax(iou[row, candidates])]
            free[partner[row]] = False
    ignored = (partner < 0) & (allowed & ~required).any(axis=1)
    return Matching(partner, ignored, required)


def box_iou(a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return intersection over union of (N, 4) and (M, 4) corner boxes, (N, M) in 0..1."""
    ours, theirs = a.astype(np.float64), b.astype(np.float64)
    ends = np.minimum(ours[:, None, 2:], theirs[:, 2:])
    sides = ends - np.maximum(ours[:, None, :2], theirs[:, :2])  # (N, M, 2)
    shared = np.clip(sides, 0, None).prod(axis=2)  # (N, M)
    union = _areas(ours)[:, None] + _areas(theirs) - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def _areas(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    areas: NDArray[np.float64] = np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(axis=1)
    return areas


def _names(detections: Detections) -> NDArray[np.str_]:
    """Return class names (N,): the truth may number its classes differently."""
    return np.asarray([*detections.class_names, ''])[detections.labels]
