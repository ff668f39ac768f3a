"""What the selective fusion chose, image by image: which scale counted how much, and when."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from thermal_perception.errors import DatasetError
from thermal_perception.evaluation.coco import is_ignored

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from thermal_perception.evaluation.dataset import CocoSplit
    from thermal_perception.types import FrameSet, FusionWeights, Perception


@dataclass(frozen=True, eq=False)
class FusionSummary:
    """Statistics of the weights over a data set.

    Attributes:
        strides: stride of each scale.
        mean: (S,) mean of alpha_hat.
        std: (S,) population standard deviation of alpha_hat.
        area_correlation: (S,) Pearson correlation of alpha_hat with the mean object area of the
            image, over images with objects; NaN where either does not vary.
    """

    strides: tuple[int, ...]
    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    area_correlation: NDArray[np.float64]


class FusionRecorder:
    """Passes frames on to a model and keeps the fusion weights of each, by frame_id."""

    def __init__(self, perceive: Callable[[FrameSet], Perception]) -> None:
        """Wrap `perceive`."""
        self._perceive = perceive
        self._weights: dict[str, FusionWeights] = {}

    def __call__(self, frames: FrameSet) -> Perception:
        """Perceive, and remember what the fusion chose.

        Raises:
            DatasetError: if the model mixes no scales.
        """
        perception = self._perceive(frames)
        if perception.fusion is None:
            raise DatasetError('fusion weights: this model mixes no scales')
        self._weights[frames.frame_id] = perception.fusion
        return perception

    def write_csv(self, path: Path) -> None:
        """Write one row per image: name, alpha_hat per stride, entropy in nats."""
        with path.open('w', newline='', encoding='utf-8') as file:
            writer = csv.writer(file)
            strides = next(iter(self._weights.values())).strides if self._weights else ()
            writer.writerow(['image', *(f'a{s}' for s in strides), 'entropy'])
            for name, weights in self._weights.items():
                row = [*weights.alpha_hat.tolist(), weights.entropy]
                writer.writerow([name, *(f'{value:.6f}' for value in row)])

    def summary(self, mean_area_px: Mapping[str, float]) -> FusionSummary:
        """Summarise; `mean_area_px` maps names of images with objects to their mean box area.

        Raises:
            DatasetError: if no frame was seen.
        """
        if not self._weights:
            raise DatasetError('fusion weights: no image was seen')
        strides = next(iter(self._weights.values())).strides
        alpha = np.array([w.alpha_hat for w in self._weights.values()], np.float64)  # [N, S]
        areas = np.array([mean_area_px.get(name, np.nan) for name in self._weights])
        known = np.isfinite(areas)
        correlation = [_pearson(alpha[known, s], areas[known]) for s in range(len(strides))]
        return FusionSummary(strides, alpha.mean(0), alpha.std(0), np.array(correlation))


def mean_object_areas(split: CocoSplit) -> dict[str, float]:
    """Return the mean box area, square pixels, of every image that has objects, by file name."""
    names = {image_id: path.name for image_id, path in split.images}
    areas: dict[str, list[float]] = {}
    for annotation in split.annotations['annotations']:
        if not is_ignored(annotation):
            _, _, width, height = annotation['bbox']
            areas.setdefault(names[annotation['image_id']], []).append(width * height)
    return {name: float(np.mean(values)) for name, values in areas.items()}


def _pearson(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    if len(a) < 2 or a.std() == 0 or b.std() == 0:
        return float('nan')
    return float(np.corrcoef(a, b)[0, 1])
