"""Boxes matched to objects once, then scored under any weighting of the images.

Average precision and miss rate depend on an image only through its matches: which boxes found an
object, which are false, and how many objects there were. With these kept, a part of the images
(all at night) or a resampled set (a bootstrap) is scored without matching again: a weight says how
often an image counts. Whole weights give exactly what the images, repeated so often, would give
(but for the order of different boxes with exactly equal scores, which is arbitrary anyway).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

IGNORED, FALSE, FOUND = -1, 0, 1
"""What became of a box: on a region to ignore, on nothing, on an object."""

_COCO_RECALLS = np.linspace(0, 1, 101)
_VOC07_RECALLS = np.linspace(0, 1, 11)


@dataclass(frozen=True, eq=False)
class ImageMatches:
    """The matches of one class in one image.

    Attributes:
        scores: (D,) scores of the boxes, best first.
        verdicts: (T, D) IGNORED, FALSE or FOUND at each of T overlap thresholds.
        objects: number of objects to be found.
    """

    scores: NDArray[np.float64]
    verdicts: NDArray[np.int8]
    objects: int


@dataclass(frozen=True, eq=False)
class Ranking:
    """The boxes of one class in all images, best first, at one overlap threshold.

    Attributes:
        images: (K,) index of each box's image; boxes on regions to ignore are left out.
        found: (F,) positions, among the K boxes, of those that found an object.
        objects: (I,) number of objects in each image.
    """

    images: NDArray[np.int64]
    found: NDArray[np.int64]
    objects: NDArray[np.int64]

    @classmethod
    def of(cls, per_image: Sequence[ImageMatches], threshold: int = 0) -> Ranking:
        """Rank the boxes of all images; equal scores keep the order of the images."""
        if not per_image:
            return cls(*(np.zeros(0, np.int64) for _ in range(3)))
        scores = np.concatenate([m.scores for m in per_image])
        verdicts = np.concatenate([m.verdicts[threshold] for m in per_image])
        images = np.repeat(np.arange(len(per_image)), [len(m.scores) for m in per_image])
        order = np.argsort(-scores, kind='stable')
        order = order[verdicts[order] != IGNORED]
        objects = np.array([m.objects for m in per_image], np.int64)
        return cls(images[order], np.flatnonzero(verdicts[order] == FOUND), objects)

    def select(self, images: NDArray[np.bool_]) -> Ranking:
        """Keep some images, (I,) bool; they are numbered anew in their order."""
        kept = images[self.images]
        position = np.cumsum(kept) - 1
        number = np.cumsum(images) - 1
        found = self.found[kept[self.found]]
        return Ranking(number[self.images[kept]], position[found], self.objects[images])

    def counts(
        self, weights: NDArray[np.integer] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
        """Count boxes down to each found object.

        Args:
            weights: (I,) how often each image counts; None is once.

        Returns:
            (F,) objects found and (F,) boxes so far, and the number of objects.
        """
        if weights is None:
            weights = np.ones(len(self.objects), np.int64)
        box_weights = weights[self.images].astype(np.int64, copy=False)
        boxes = np.cumsum(box_weights)[self.found]
        return np.cumsum(box_weights[self.found]), boxes, int(weights @ self.objects)

    def curve(
        self, weights: NDArray[np.integer] | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """Return recall and precision, (F,) each, at each found object; None without objects."""
        found, boxes, objects = self.counts(weights)
        if not objects:
            return None
        precision = np.divide(found, boxes, out=np.zeros(len(boxes)), where=boxes > 0)
        return found / objects, precision


def match_greedily(
    overlaps: NDArray[np.float64],
    region_overlaps: NDArray[np.float64],
    thresholds: NDArray[np.float64],
) -> NDArray[np.int8]:
    """Give each box, best first, the free object that it overlaps most, as COCO does.

    Args:
        overlaps: (D, G) intersection over union of boxes, best score first, with objects.
        region_overlaps: (D,) largest overlap with a region to ignore; a region may take any number
            of boxes, and only those that match no object.
        thresholds: (T,) least overlaps, above 0.

    Returns:
        (T, D) IGNORED, FALSE or FOUND.
    """
    verdicts = np.where(region_overlaps >= thresholds[:, None], IGNORED, FALSE).astype(np.int8)
    rows, free = np.arange(len(thresholds)), np.ones((len(thresholds), overlaps.shape[1]), bool)
    for box in np.flatnonzero((overlaps >= thresholds.min()).any(axis=1)):
        allowed = free & (overlaps[box] >= thresholds[:, None])  # (T, G)
        candidates = np.where(allowed, overlaps[box], -1)
        best = overlaps.shape[1] - 1 - candidates[:, ::-1].argmax(axis=1)  # ties: the last one
        hit = allowed[rows, best]
        verdicts[hit, box] = FOUND
        free[rows[hit], best[hit]] = False
    return verdicts


def overlaps_xywh(
    boxes: NDArray[np.float64], others: NDArray[np.float64], *, of_boxes: bool = False
) -> NDArray[np.float64]:
    """Return the overlaps of (D, 4) with (G, 4) boxes x, y, width, height as (D, G) in 0..1.

    Args:
        boxes: boxes.
        others: objects, or regions to ignore.
        of_boxes: divide the intersection by the area of `boxes` instead of the union; so COCO and
            KAIST do for regions to ignore.
    """
    ends = np.minimum((boxes[:, :2] + boxes[:, 2:])[:, None], others[:, :2] + others[:, 2:])
    sides = np.clip(ends - np.maximum(boxes[:, None, :2], others[:, :2]), 0, None)  # (D, G, 2)
    shared = sides[..., 0] * sides[..., 1]
    areas = (boxes[:, 2] * boxes[:, 3])[:, None]
    whole = areas if of_boxes else areas + others[:, 2] * others[:, 3] - shared
    return np.divide(shared, whole, out=np.zeros_like(shared), where=whole > 0)


def coco_average(recall: NDArray[np.float64], precision: NDArray[np.float64]) -> float:
    """Average the interpolated precision at 101 recalls (Lin et al., COCO, 2014)."""
    return _average_at(_COCO_RECALLS, recall, precision)


def voc07_average(recall: NDArray[np.float64], precision: NDArray[np.float64]) -> float:
    """Average the interpolated precision at 11 recalls (Pascal VOC 2007)."""
    return _average_at(_VOC07_RECALLS, recall, precision)


def all_point_average(recall: NDArray[np.float64], precision: NDArray[np.float64]) -> float:
    """Integrate the interpolated precision over the recall (Pascal VOC from 2010 on)."""
    return float(np.diff(recall, prepend=0.0) @ _envelope(precision))


def _average_at(
    wanted: NDArray[np.float64], recall: NDArray[np.float64], precision: NDArray[np.float64]
) -> float:
    best = np.append(_envelope(precision), 0.0)  # 0 where a recall is never reached
    return float(best[np.searchsorted(recall, wanted, side='left')].mean())


def _envelope(precision: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the best precision at this recall or a higher one."""
    envelope: NDArray[np.float64] = np.maximum.accumulate(precision[::-1])[::-1]
    return envelope
