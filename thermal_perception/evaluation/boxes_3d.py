"""Average precision of upright 3D boxes, as the DAIR-V2X benchmark counts it.

Within one frame every object, in its order in the file, takes the box of its class that it
overlaps most and that no other object has taken; scores play no part in that. Boxes are counted by
where they are: in a band if any of their corners is in it, so one box can count in two.

Source: DAIR-V2X (arXiv 2204.05575) and its toolkit, which leaves out the first step of the
precision-recall curve; nothing is left out here unless asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, TYPE_CHECKING

import numpy as np

from thermal_perception.errors import MetricError
from thermal_perception.evaluation.figures import FigureTable
from thermal_perception.evaluation.matches import (
    all_point_average,
    FALSE,
    FOUND,
    ImageMatches,
    Ranking,
)
from thermal_perception.evaluation.polygons import rotated_corners, shared_areas

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from thermal_perception.types import Boxes3D

Seen = Literal['3d', 'bev']
SEEN: tuple[Seen, ...] = ('3d', 'bev')


class Band(NamedTuple):
    """A box in the vehicle's frame within which objects count, metres."""

    name: str
    low_m: tuple[float, float, float]
    high_m: tuple[float, float, float]


def band(name: str, near_m: float, far_m: float) -> Band:
    """Return the benchmark's band from one x to another."""
    return Band(name, (near_m, -39.68, -3.0), (far_m, 39.68, 1.0))


BANDS = (
    band('all', 0.0, 100.0),
    band('0-30', 0.0, 30.0),
    band('30-50', 30.0, 50.0),
    band('50-100', 50.0, 100.0),
)


class Key(NamedTuple):
    """What an average precision is of."""

    seen: Seen
    iou: float
    band: str
    class_name: str


@dataclass(frozen=True)
class Rules:
    """How boxes are counted.

    Attributes:
        bands: where.
        ious: least overlaps.
        truth_by_centre: an object counts in a band if its centre is within its x and y, whatever
            its z, as in EMIFF's code; else, as in the toolkit, if any corner is within the band.
        reference_ap: leave out the first step of the curve, as the toolkit does.
    """

    bands: tuple[Band, ...] = BANDS
    ious: tuple[float, ...] = (0.3, 0.5, 0.7)
    truth_by_centre: bool = False
    reference_ap: bool = False


RULES = Rules()


class Boxes3DScorer:
    """Collects the boxes of many frames; any order."""

    def __init__(self, class_names: Sequence[str], rules: Rules = RULES) -> None:
        """Name the classes in label order, and how they are counted."""
        self.class_names, self.rules = tuple(class_names), rules
        self._matches: dict[str, dict[Key, ImageMatches]] = {}

    def add(self, name: str, found: Boxes3D, truth: Boxes3D) -> None:
        """Take one frame, without a score threshold.

        Raises:
            MetricError: if it was added before, the frames differ, or a label is unknown.
        """
        if name in self._matches:
            raise MetricError(f'{name}: added twice')
        if found.frame_id != truth.frame_id:
            raise MetricError(
                f'{name}: found boxes in {found.frame_id!r}, expected {truth.frame_id!r}'
            )
        for boxes in (found, truth):
            if boxes.class_names != self.class_names:
                raise MetricError(
                    f'{name}: found classes {boxes.class_names}, expected {self.class_names}'
                )
        overlaps = {'3d': overlaps_3d(found, truth), 'bev': overlaps_bev(found, truth)}
        self._matches[name] = {
            key: _matched(key, overlaps[key.seen], found, truth, self._counted(key, found, truth))
            for key in self.keys()
        }

    def keys(self) -> list[Key]:
        """Return what there is an average precision of."""
        return [
            Key(seen, iou, b.name, class_name)
            for seen in SEEN
            for iou in self.rules.ious
            for b in self.rules.bands
            for class_name in self.class_names
        ]

    def score(self, weights: NDArray[np.integer] | None = None) -> dict[Key, float | None]:
        """Return the average precisions, None where no object counts.

        Args:
            weights: (I,) how often each frame counts, in the order of their sorted names.
        """
        frames = [self._matches[name] for name in self.names()]
        return {
            key: self._average(Ranking.of([frame[key] for frame in frames]), weights)
            for key in self.keys()
        }

    def table(self, units: Mapping[str, str]) -> FigureTable:
        """Return the figures for a bootstrap: groups are bands, figures as `figure_name` says.

        Args:
            units: what a bootstrap draws, by name of the frame.
        """
        names = self.names()
        groups = [
            (band, seen, iou)
            for band in (b.name for b in self.rules.bands)
            for seen in SEEN
            for iou in self.rules.ious
        ]
        of = [
            [Key(seen, iou, band, name) for name in self.class_names] for band, seen, iou in groups
        ]
        held = [
            [sum(self._matches[name][key].objects for key in keys) for keys in of]
            for name in names
        ]
        return FigureTable(
            names,
            [(band, figure_name(seen, iou)) for band, seen, iou in groups],
            lambda weights: _means(self.score(weights), of),
            np.array(held, np.int64).reshape(len(names), len(groups)),
            [units[name] for name in names],
            [{} for _ in names],
        )

    def names(self) -> list[str]:
        """Return the frames, sorted by name."""
        return sorted(self._matches)

    def _counted(
        self, key: Key, found: Boxes3D, truth: Boxes3D
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Tell which boxes of either side are of the class and in the band."""
        within = next(b for b in self.rules.bands if b.name == key.band)
        label = self.class_names.index(key.class_name)
        there = _centre_in(truth, within) if self.rules.truth_by_centre else _in(truth, within)
        return _in(found, within) & (found.labels == label), there & (truth.labels == label)

    def _average(self, ranking: Ranking, weights: NDArray[np.integer] | None) -> float | None:
        curve = ranking.curve(weights)
        if curve is None:
            return None
        recall, precision = curve
        average = all_point_average(recall, precision)
        if self.rules.reference_ap and len(recall) and precision[0] == 1:  # the best box is right
            average -= float(recall[0])
        return average


def figure_name(seen: Seen, iou: float) -> str:
    """Return the name of a figure, as `AP3D_50`."""
    return f'AP{seen.upper()}_{round(100 * iou)}'


def _means(
    scores: Mapping[Key, float | None], groups: Sequence[Sequence[Key]]
) -> NDArray[np.float64]:
    """Return the mean of each group's known scores, NaN where there is none."""
    known = [[v for key in keys if (v := scores[key]) is not None] for keys in groups]
    return np.array([sum(values) / len(values) if values else np.nan for values in known])


def corners_bev(boxes: Boxes3D) -> NDArray[np.float64]:
    """Return the (N, 4, 2) corners x, y of boxes seen from above."""
    return rotated_corners(
        np.column_stack((boxes.centres_m[:, :2], boxes.sizes_m[:, :2], boxes.yaws_rad))
    )


def overlaps_bev(boxes: Boxes3D, others: Boxes3D) -> NDArray[np.float64]:
    """Return intersection over union, seen from above, as (D, G) in 0..1."""
    shared = shared_areas(corners_bev(boxes), corners_bev(others))
    return _over_union(shared, boxes.sizes_m[:, :2], others.sizes_m[:, :2])


def overlaps_3d(boxes: Boxes3D, others: Boxes3D) -> NDArray[np.float64]:
    """Return intersection over union of volumes as (D, G) in 0..1."""
    low, high = _heights(boxes)
    other_low, other_high = _heights(others)
    shared_height = np.minimum(high[:, None], other_high) - np.maximum(low[:, None], other_low)
    shared = shared_areas(corners_bev(boxes), corners_bev(others)) * shared_height.clip(0)
    return _over_union(shared, boxes.sizes_m, others.sizes_m)


def _over_union(
    shared: NDArray[np.float64], sizes: NDArray[np.float64], others: NDArray[np.float64]
) -> NDArray[np.float64]:
    union = sizes.prod(1)[:, None] + others.prod(1) - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def _heights(boxes: Boxes3D) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return z of bottom and top."""
    middle, half = boxes.centres_m[:, 2], boxes.sizes_m[:, 2] / 2
    return middle - half, middle + half


def _in(boxes: Boxes3D, within: Band) -> NDArray[np.bool_]:
    """Tell which boxes have a corner in a band."""
    low, high = within.low_m, within.high_m
    corners = corners_bev(boxes)  # (N, 4, 2)
    inside = (corners >= low[:2]) & (corners <= high[:2])
    beside = np.all(inside, axis=2).any(axis=1)
    bottom, top = ((z >= low[2]) & (z <= high[2]) for z in _heights(boxes))
    return np.asarray(beside & (bottom | top))


def _centre_in(boxes: Boxes3D, within: Band) -> NDArray[np.bool_]:
    centres = boxes.centres_m[:, :2]
    return np.asarray(((centres >= within.low_m[:2]) & (centres <= within.high_m[:2])).all(axis=1))


def _matched(
    key: Key,
    overlaps: NDArray[np.float64],
    found: Boxes3D,
    truth: Boxes3D,
    counted: tuple[NDArray[np.bool_], NDArray[np.bool_]],
) -> ImageMatches:
    mine, theirs = counted
    order = np.flatnonzero(mine)[np.argsort(-found.scores[mine], kind='stable')]
    verdicts = _match_in_order(overlaps[order][:, theirs], key.iou)
    scores = found.scores[order].astype(np.float64)
    return ImageMatches(scores, verdicts[None], int(theirs.sum()))


def _match_in_order(overlaps: NDArray[np.float64], iou: float) -> NDArray[np.int8]:
    """Let each of (G) objects in turn take the free one of (D) boxes that it overlaps most."""
    verdicts = np.full(len(overlaps), FALSE, np.int8)
    for column in overlaps.T:
        free = np.where(verdicts == FALSE, column, -1.0)
        if len(free) and free.max() >= iou:
            verdicts[free.argmax()] = FOUND
    return verdicts
