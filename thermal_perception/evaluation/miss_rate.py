"""Log-average miss rate of pedestrian detection, as KAIST and Caltech report it.

Hwang et al., Multispectral Pedestrian Detection, CVPR 2015; Dollár et al., Pedestrian Detection:
An Evaluation of the State of the Art, TPAMI 2012. The "reasonable" setting counts people from 55
pixels of height, at most partly occluded, inside 5..635 x 5..507; all others, and groups, cyclists
and uncertain people, are ignored: a box that lies on one by half is neither right nor wrong. The
rate is the geometric mean over nine points 10^-2 .. 10^0 of false boxes per image. Numbers are
those of the public Python evaluation of KAIST (no aspect ratio is imposed on the boxes), but two
habits of that code are not followed: there, a curve that starts right of a point counts what its
end finds (here: nothing), and the people of images without any box are left out (here: missed).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TYPE_CHECKING

import numpy as np

from thermal_perception.errors import MetricError
from thermal_perception.evaluation.attributes import attribute_values, image_attributes
from thermal_perception.evaluation.figures import FigureTable
from thermal_perception.evaluation.matches import (
    ImageMatches,
    match_greedily,
    overlaps_xywh,
    Ranking,
)

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from numpy.typing import NDArray

FALSE_PER_IMAGE = np.logspace(-2, 0, 9)
"""False boxes per image at which the miss rate is read."""

FIGURES = ('lamr', 'recall')
"""Figures that an interval can be given for."""

_LEAST_RATE = 1e-10  # of the original code, so that a perfect point has a logarithm


@dataclass(frozen=True)
class MissRateSetting:
    """Which people count.

    Attributes:
        min_height_px: least height of a person.
        max_occlusion: most occlusion: 0 none, 1 partial, 2 heavy.
        bounds_xyxy_px: people that reach beyond are ignored; None for no such rule.
        iou: least overlap of a box with a person, and with the box of an ignored one.
        max_boxes: boxes per image that count, best first.
    """

    min_height_px: float = 55.0
    max_occlusion: int = 1
    bounds_xyxy_px: tuple[float, float, float, float] | None = (5.0, 5.0, 635.0, 507.0)
    iou: float = 0.5
    max_boxes: int = 1000


REASONABLE = MissRateSetting()
ALL = MissRateSetting(min_height_px=20.0, max_occlusion=2)


@dataclass(frozen=True, eq=False)
class Pedestrians:
    """The annotated people of one image.

    Attributes:
        boxes_xyxy_px: (N, 4) corners, pixels.
        occlusion: (N,) 0 none, 1 partial, 2 heavy.
        ignored: (N,) true for what is no single certain pedestrian (people, person?, cyclist).
    """

    boxes_xyxy_px: NDArray[np.floating]
    occlusion: NDArray[np.integer]
    ignored: NDArray[np.bool_]

    def __post_init__(self) -> None:
        """Refuse arrays that do not belong together."""
        n = len(self.ignored)
        if self.boxes_xyxy_px.shape != (n, 4) or self.occlusion.shape != (n,):
            raise MetricError(
                f'pedestrians: found boxes {self.boxes_xyxy_px.shape}, occlusion '
                f'{self.occlusion.shape}, ignored {self.ignored.shape}; '
                f'expected (N, 4), (N,), (N,)'
            )


@dataclass(frozen=True)
class MissRate:
    """Fractions in 0..1; None where there is no pedestrian to be found.

    Attributes:
        lamr: log-average miss rate, lower is better.
        rates: miss rate at each of `FALSE_PER_IMAGE`.
        recall: of all boxes, whatever their score.
        images: number of images.
        objects: number of pedestrians that count.
    """

    lamr: float | None
    rates: tuple[float, ...] | None
    recall: float | None
    images: int
    objects: int

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {**vars(self), 'rates': None if self.rates is None else list(self.rates)}


class MissRateScorer:
    """Collects the boxes of many images; any order, any number of processes."""

    def __init__(self, setting: MissRateSetting = REASONABLE) -> None:
        """Choose which people count."""
        self.setting = setting
        self._matches: dict[str, ImageMatches] = {}

    def add(
        self,
        name: str,
        boxes_xyxy_px: NDArray[np.floating],
        scores: NDArray[np.floating],
        truth: Pedestrians,
    ) -> None:
        """Take the boxes (D, 4) of one image, with scores (D,), without a threshold.

        Raises:
            MetricError: if the image was added before or the arrays do not belong together.
        """
        if name in self._matches:
            raise MetricError(f'{name}: added twice')
        if boxes_xyxy_px.shape != (*scores.shape, 4):
            raise MetricError(
                f'{name}: found boxes {boxes_xyxy_px.shape} and scores {scores.shape}, '
                f'expected (D, 4) and (D,)'
            )
        order = np.argsort(-scores, kind='stable')[: self.setting.max_boxes]
        self._matches[name] = _match(boxes_xyxy_px[order], scores[order], truth, self.setting)

    def merge(self, other: MissRateScorer) -> None:
        """Take the images of another scorer.

        Raises:
            MetricError: if it has another setting or an image of this one.
        """
        if self.setting != other.setting:
            raise MetricError(f'miss rate: found {other.setting}, expected {self.setting}')
        if twice := sorted(self._matches.keys() & other._matches.keys()):
            raise MetricError(f'{twice[0]}: added twice')
        self._matches.update(other._matches)

    def names(self) -> list[str]:
        """Return the images in the order of `ranking`: sorted by name."""
        return sorted(self._matches)

    def ranking(self) -> Ranking:
        """Return the boxes of all images for a score under any weights."""
        return Ranking.of([self._matches[name] for name in self.names()])

    def score(self) -> MissRate:
        """Score all images."""
        return miss_rate(self.ranking())

    def table(self, units: Sequence[Hashable] | None = None) -> FigureTable:
        """Return the figures for parts of the images and for a bootstrap.

        Args:
            units: what a bootstrap draws, in the order of `names`; None draws images.
        """
        ranking = self.ranking()
        return FigureTable(
            self.names(),
            [('all', figure) for figure in FIGURES],
            lambda weights: _figures(miss_rate(ranking, weights)),
            np.stack([ranking.objects] * len(FIGURES), axis=1),
            units,
        )

    def breakdown(self) -> Mapping[tuple[str, str], MissRate]:
        """Score the images of each light (or altitude) that the names tell."""
        names, ranking = self.names(), self.ranking()
        attributes = {name: image_attributes(name) for name in names}
        return {
            (key, value): miss_rate(
                ranking.select(np.array([attributes[n].get(key) == value for n in names], bool))
            )
            for key, value in attribute_values(attributes)
        }


def miss_rate(ranking: Ranking, weights: NDArray[np.integer] | None = None) -> MissRate:
    """Score a ranking, with weights (I,) saying how often each image counts."""
    if weights is None:
        weights = np.ones(len(ranking.objects), np.int64)
    images, objects = int(weights.sum()), int(weights @ ranking.objects)
    if not objects:
        return MissRate(None, None, None, images, 0)
    counted = weights[ranking.images]
    found = np.zeros(len(counted), np.int64)
    found[ranking.found] = counted[ranking.found]
    false_per_image = np.cumsum(counted - found) / images
    missed = np.append(1.0, 1 - np.cumsum(found) / objects)  # before the first box: all
    rates = missed[np.searchsorted(false_per_image, FALSE_PER_IMAGE, side='right')]
    lamr = float(np.exp(np.log(np.maximum(rates, _LEAST_RATE)).mean()))
    return MissRate(lamr, tuple(rates.tolist()), float(1 - missed[-1]), images, objects)


def _figures(score: MissRate) -> NDArray[np.float64]:
    return np.array([getattr(score, figure) for figure in FIGURES], np.float64)  # None: NaN


def _match(
    boxes: NDArray[np.floating],
    scores: NDArray[np.floating],
    truth: Pedestrians,
    setting: MissRateSetting,
) -> ImageMatches:
    found, people = _to_xywh(boxes), _to_xywh(truth.boxes_xyxy_px)
    ignored = truth.ignored | ~_counts(truth, setting)
    covered = overlaps_xywh(found, people[ignored], of_boxes=True).max(axis=1, initial=0)
    verdicts = match_greedily(
        overlaps_xywh(found, people[~ignored]), covered, np.array([setting.iou])
    )
    return ImageMatches(scores.astype(np.float64), verdicts, int((~ignored).sum()))


def _counts(truth: Pedestrians, setting: MissRateSetting) -> NDArray[np.bool_]:
    boxes = truth.boxes_xyxy_px
    counts: NDArray[np.bool_] = (boxes[:, 3] - boxes[:, 1]) >= setting.min_height_px
    counts &= truth.occlusion <= setting.max_occlusion
    if setting.bounds_xyxy_px is not None:
        x1, y1, x2, y2 = setting.bounds_xyxy_px
        counts &= (boxes[:, :2] >= (x1, y1)).all(axis=1) & (boxes[:, 2:] <= (x2, y2)).all(axis=1)
    return counts


def _to_xywh(boxes: NDArray[np.floating]) -> NDArray[np.float64]:
    corners = boxes.astype(np.float64)
    return np.hstack([corners[:, :2], corners[:, 2:] - corners[:, :2]])
