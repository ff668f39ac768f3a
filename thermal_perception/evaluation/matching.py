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


def count_matches(
    found: Detections, truth: Detections, rules: MatchingRules | None = None
) -> MatchCount:
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
    matched = ignored = 0
    free = required.copy()
    for row in np.argsort(-found.scores, kind='stable'):
        candidates = np.flatnonzero(allowed[row] & free)
        if candidates.size:
            free[candidates[np.argmax(iou[row, candidates])]] = False
            matched += 1
        elif (allowed[row] & ~required).any():
            ignored += 1
    return MatchCount(
        found=matched,
        missed=int(required.sum()) - matched,
        false=len(found) - matched - ignored,
        ignored=ignored,
    )


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
