"""The matches of a whole data set: COCO average precision of any part of it, without matching."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from thermal_perception.evaluation.matches import coco_average, Ranking

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from thermal_perception.evaluation.matches import ImageMatches

COCO_IOUS = np.linspace(0.5, 0.95, 10)
"""Overlap thresholds of the COCO protocol."""


@dataclass(frozen=True, eq=False)
class MatchTable:
    """Rankings of all classes at all thresholds.

    Attributes:
        class_names: C names.
        image_ids: ids of the I images, in the order of the weights.
        thresholds: (T,) least intersection over union.
        rankings: rankings[c][t] of class c at threshold t.
    """

    class_names: tuple[str, ...]
    image_ids: tuple[int, ...]
    thresholds: NDArray[np.float64]
    rankings: tuple[tuple[Ranking, ...], ...]

    @classmethod
    def of(
        cls,
        class_names: Sequence[str],
        image_ids: Sequence[int],
        thresholds: NDArray[np.float64],
        per_class: Sequence[Sequence[ImageMatches]],
    ) -> MatchTable:
        """Rank the matches `per_class[c][i]` of class c in image i."""
        rankings = tuple(
            tuple(Ranking.of(images, t) for t in range(len(thresholds))) for images in per_class
        )
        return cls(tuple(class_names), tuple(image_ids), thresholds, rankings)

    def average_precision(self, weights: NDArray[np.integer] | None = None) -> NDArray[np.float64]:
        """Return the COCO average precision (C, T) of weighted images; NaN without objects.

        Args:
            weights: (I,) how often each image counts; None is once.
        """
        curves = [[ranking.curve(weights) for ranking in row] for row in self.rankings]
        values = [[np.nan if c is None else coco_average(*c) for c in row] for row in curves]
        return np.array(values, np.float64).reshape(len(self.rankings), len(self.thresholds))

    def objects(self) -> NDArray[np.int64]:
        """Return the number of objects of each class, (C,)."""
        return np.array([row[0].objects.sum() for row in self.rankings], np.int64)

    def select(self, images: NDArray[np.bool_]) -> MatchTable:
        """Keep the images where (I,) is true."""
        return replace(
            self,
            image_ids=tuple(i for i, kept in zip(self.image_ids, images, strict=True) if kept),
            rankings=tuple(tuple(r.select(images) for r in row) for row in self.rankings),
        )

    def at(self, threshold: float) -> MatchTable:
        """Keep one threshold.

        Raises:
            ValueError: if the table was not made with it.
        """
        near = np.flatnonzero(np.isclose(self.thresholds, threshold))
        if not near.size:
            raise ValueError(f'IoU {threshold}: expected one of {self.thresholds.tolist()}')
        index = int(near[0])
        return replace(
            self,
            thresholds=self.thresholds[index : index + 1],
            rankings=tuple((row[index],) for row in self.rankings),
        )
