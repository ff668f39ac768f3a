"""Average precision of boxes at any angle, as DOTA and DroneVehicle score them.

The evaluation published with DroneVehicle (Sun et al., Drone-Based RGB-Infrared Cross-Modality
Vehicle Detection, TCSVT 2022) is Pascal VOC's: over all images a box, best score first, is held
against the object of its class that it overlaps most; it is right if the overlap is more than 0.5
and the object is not taken yet. Published figures use the 11-point average of VOC 2007
(`mAP50_voc07`); the area under the curve (`mAP50`) stands beside it and is usually higher.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TYPE_CHECKING

import numpy as np

from thermal_perception.errors import MetricError
from thermal_perception.evaluation.figures import FigureTable
from thermal_perception.evaluation.matches import (
    all_point_average,
    FALSE,
    FOUND,
    IGNORED,
    ImageMatches,
    Ranking,
    voc07_average,
)
from thermal_perception.evaluation.polygons import polygon_overlaps

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray


FIGURES = ('mAP50', 'mAP50_voc07')
"""Area under the curve, and the average at 11 recalls."""


@dataclass(frozen=True, eq=False)
class OrientedBoxes:
    """Boxes at any angle in one image.

    Attributes:
        corners_px: (N, 4, 2) corners x, y in turning order, pixels.
        labels: (N,) class indices.
        scores: (N,) scores of found boxes; of true ones 0 for difficult objects, which are neither
            missed nor false when found, else anything above.
    """

    corners_px: NDArray[np.floating]
    labels: NDArray[np.integer]
    scores: NDArray[np.floating]

    def __post_init__(self) -> None:
        """Refuse arrays that do not belong together."""
        n = len(self.scores)
        if self.corners_px.shape != (n, 4, 2) or self.labels.shape != (n,):
            raise MetricError(
                f'oriented boxes: found corners {self.corners_px.shape}, labels '
                f'{self.labels.shape}, scores {self.scores.shape}; expected (N, 4, 2), (N,), (N,)'
            )


@dataclass(frozen=True)
class OrientedClassMetrics:
    """Average precision at IoU 0.5, fractions; None where no object exists to be found.

    Attributes:
        mAP50: area under the interpolated curve.
        mAP50_voc07: mean of the interpolated curve at 11 recalls.
        boxes: number of objects (difficult ones left out).
    """

    mAP50: float | None
    mAP50_voc07: float | None
    boxes: int


@dataclass(frozen=True)
class OrientedMetrics(OrientedClassMetrics):
    """Means over the classes that have objects, and the figures of each class."""

    per_class: Mapping[str, OrientedClassMetrics]

    def to_json(self) -> dict[str, Any]:
        """Return plain values, with `per_class` nested."""
        return {**vars(self), 'per_class': {k: dict(vars(v)) for k, v in self.per_class.items()}}


class OrientedScorer:
    """Collects the oriented boxes of many images; any order, any number of processes."""

    def __init__(self, class_names: Sequence[str], iou: float = 0.5) -> None:
        """Name the classes in label order, and the overlap that a right box has to exceed."""
        self.class_names = tuple(class_names)
        self.iou = iou
        self._matches: dict[str, list[ImageMatches]] = {}

    def add(self, name: str, found: OrientedBoxes, truth: OrientedBoxes) -> None:
        """Take the boxes of one image, without a score threshold.

        Raises:
            MetricError: if the image was added before, or a label or corner is not acceptable.
        """
        if name in self._matches:
            raise MetricError(f'{name}: added twice')
        for boxes in (found, truth):
            if boxes.labels.size and not (
                0 <= boxes.labels.min() <= boxes.labels.max() < len(self.class_names)
            ):
                raise MetricError(
                    f'{name}: found labels {boxes.labels.min()}..{boxes.labels.max()}, expected '
                    f'0..{len(self.class_names) - 1}'
                )
        self._matches[name] = [
            _match(found, truth, label, self.iou) for label in range(len(self.class_names))
        ]

    def merge(self, other: OrientedScorer) -> None:
        """Take the images of another scorer.

        Raises:
            MetricError: if it has other classes, another overlap or an image of this one.
        """
        if (self.class_names, self.iou) != (other.class_names, other.iou):
            raise MetricError(
                f'oriented boxes: found {other.class_names} at IoU {other.iou}, '
                f'expected {self.class_names} at {self.iou}'
            )
        if twice := sorted(self._matches.keys() & other._matches.keys()):
            raise MetricError(f'{twice[0]}: added twice')
        self._matches.update(other._matches)

    def names(self) -> list[str]:
        """Return the images in the order of `rankings`: sorted by name."""
        return sorted(self._matches)

    def rankings(self) -> list[Ranking]:
        """Return the ranking of each class, images sorted by name."""
        names = self.names()
        return [
            Ranking.of([self._matches[name][label] for name in names])
            for label in range(len(self.class_names))
        ]

    def score(self, weights: NDArray[np.integer] | None = None) -> OrientedMetrics:
        """Score all images, or weighted ones: (I,) in the order of their sorted names."""
        return oriented_metrics(self.rankings(), self.class_names, weights)

    def table(self) -> FigureTable:
        """Return the figures for parts of the images and for a bootstrap."""
        rankings = self.rankings()
        objects = np.array([r.objects for r in rankings]).reshape(len(rankings), -1)  # (C, I)
        groups = np.concatenate([objects.sum(axis=0, keepdims=True), objects])
        return FigureTable(
            self.names(),
            [(group, figure) for group in ('all', *self.class_names) for figure in FIGURES],
            lambda weights: _figures(oriented_metrics(rankings, self.class_names, weights)),
            np.repeat(groups, len(FIGURES), axis=0).T,
        )


def oriented_metrics(
    rankings: Sequence[Ranking],
    class_names: Sequence[str],
    weights: NDArray[np.integer] | None = None,
) -> OrientedMetrics:
    """Score the rankings of all classes, with weights (I,) saying how often each image counts."""
    per_class = {
        name: _class_metrics(ranking, weights)
        for name, ranking in zip(class_names, rankings, strict=True)
    }
    return OrientedMetrics(
        _mean([m.mAP50 for m in per_class.values()]),
        _mean([m.mAP50_voc07 for m in per_class.values()]),
        sum(m.boxes for m in per_class.values()),
        per_class,
    )


def match_best_overlap(
    overlaps: NDArray[np.float64], difficult: NDArray[np.bool_], iou: float
) -> NDArray[np.int8]:
    """Hold each box, best first, against the object that it overlaps most, as Pascal VOC does.

    Args:
        overlaps: (D, G) overlaps of boxes, best score first, with objects.
        difficult: (G,) objects whose boxes are ignored.
        iou: overlap that has to be exceeded.

    Returns:
        (1, D) IGNORED, FALSE or FOUND.
    """
    verdicts = np.full((1, len(overlaps)), FALSE, np.int8)
    taken: set[int] = set()
    for box in np.flatnonzero((overlaps > iou).any(axis=1)):
        best = int(overlaps[box].argmax())
        if difficult[best]:
            verdicts[0, box] = IGNORED
        elif best not in taken:
            verdicts[0, box] = FOUND
            taken.add(best)
    return verdicts


def _match(found: OrientedBoxes, truth: OrientedBoxes, label: int, iou: float) -> ImageMatches:
    mine, theirs = found.labels == label, truth.labels == label
    order = np.argsort(-found.scores[mine], kind='stable')
    difficult = truth.scores[theirs] <= 0
    overlaps = polygon_overlaps(found.corners_px[mine][order], truth.corners_px[theirs])
    verdicts = match_best_overlap(overlaps, difficult, iou)
    scores = found.scores[mine][order].astype(np.float64)
    return ImageMatches(scores, verdicts, int((~difficult).sum()))


def _class_metrics(ranking: Ranking, weights: NDArray[np.integer] | None) -> OrientedClassMetrics:
    *_, objects = ranking.counts(weights)
    curve = ranking.curve(weights)
    if curve is None:
        return OrientedClassMetrics(None, None, objects)
    return OrientedClassMetrics(all_point_average(*curve), voc07_average(*curve), objects)


def _figures(metrics: OrientedMetrics) -> NDArray[np.float64]:
    groups = (metrics, *metrics.per_class.values())
    return np.array([getattr(m, f) for m in groups for f in FIGURES], np.float64)  # None: NaN


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
