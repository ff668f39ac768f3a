"""Segmentation scores from confusion matrices, one per image.

Intersection over union is taken once from the sum of all matrices, not averaged over images, and
its mean is over all classes, background included, as RTFNet and PST900 report it. The first code
of MFNet leaves the background out of the mean; that figure stands beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TYPE_CHECKING

import numpy as np

from thermal_perception.class_sets import background_label
from thermal_perception.errors import MetricError
from thermal_perception.evaluation.attributes import attribute_values, image_attributes
from thermal_perception.evaluation.figures import FigureTable

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from numpy.typing import NDArray

IGNORE = 255
"""Label of pixels that do not count."""

FIGURES = ('mIoU', 'mIoU_foreground', 'mean_accuracy', 'pixel_accuracy')
"""Figures over all classes."""

CLASS_FIGURES = ('IoU', 'accuracy')
"""Figures of one class."""


@dataclass(frozen=True)
class SegmentedClass:
    """Figures of one class, fractions in 0..1.

    Attributes:
        IoU: intersection over union; None if the class is neither in truth nor prediction, 0 if
            only in one.
        accuracy: part of its true pixels that got the class; None if it is not in truth.
        pixels: number of its true pixels.
    """

    IoU: float | None
    accuracy: float | None
    pixels: int


@dataclass(frozen=True)
class SegmentationMetrics:
    """Figures over all pixels that count.

    Attributes:
        mIoU: mean over the classes with an `IoU`.
        mIoU_foreground: the same without the background; None where no class is named so. Its
            pixels count all the same: what is wrongly found there is an error of what was found.
        mean_accuracy: mean over the classes in truth.
        pixel_accuracy: part of all pixels that are right.
        undefined: number of classes without an `IoU`, which the mean leaves out.
        pixels: number of pixels.
        per_class: class name to figures.
    """

    mIoU: float | None
    mIoU_foreground: float | None
    mean_accuracy: float | None
    pixel_accuracy: float | None
    undefined: int
    pixels: int
    per_class: Mapping[str, SegmentedClass]

    def to_json(self) -> dict[str, Any]:
        """Return plain values, with `per_class` nested."""
        return {**vars(self), 'per_class': {k: dict(vars(v)) for k, v in self.per_class.items()}}


def confusion_matrix(
    predicted: NDArray[np.integer],
    truth: NDArray[np.integer],
    classes: int,
    ignore: int | None = IGNORE,
) -> NDArray[np.int64]:
    """Count pixels by true (row) and predicted (column) class, (K, K).

    Args:
        predicted: (H, W) or any shape, class indices.
        truth: the same shape, class indices or `ignore`.
        classes: number K of classes.
        ignore: label whose pixels do not count, whatever was predicted there.

    Raises:
        MetricError: if the shapes differ or a counted pixel has no class.
    """
    if predicted.shape != truth.shape:
        raise MetricError(
            f'prediction is {predicted.shape} and truth {truth.shape}, expected the same size'
        )
    true, guess = truth.ravel(), predicted.ravel()
    if ignore is not None:
        kept = true != ignore
        true, guess = true[kept], guess[kept]
    for labels, name in ((true, 'truth'), (guess, 'prediction')):
        if labels.size and not 0 <= labels.min() <= labels.max() < classes:
            raise MetricError(
                f'{name}: found labels {labels.min()}..{labels.max()}, expected 0..{classes - 1}'
                + ('' if ignore is None else f' (or {ignore} in truth)')
            )
    pairs = true.astype(np.int64) * classes + guess
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def segmentation_metrics(
    matrix: NDArray[np.integer], class_names: Sequence[str]
) -> SegmentationMetrics:
    """Score a confusion matrix (K, K), rows truth, columns prediction."""
    right, true = matrix.diagonal(), matrix.sum(axis=1)
    union = true + matrix.sum(axis=0) - right
    per_class = {
        name: SegmentedClass(_ratio(right[c], union[c]), _ratio(right[c], true[c]), int(true[c]))
        for c, name in enumerate(class_names)
    }
    known = [m.IoU for m in per_class.values() if m.IoU is not None]
    background = background_label(class_names)
    foreground = [
        m.IoU
        for label, m in enumerate(per_class.values())
        if m.IoU is not None and label != background
    ]
    return SegmentationMetrics(
        mIoU=_mean(known),
        mIoU_foreground=None if background is None else _mean(foreground),
        mean_accuracy=_mean([m.accuracy for m in per_class.values() if m.accuracy is not None]),
        pixel_accuracy=_ratio(right.sum(), true.sum()),
        undefined=len(per_class) - len(known),
        pixels=int(true.sum()),
        per_class=per_class,
    )


class SegmentationScorer:
    """Collects the confusion matrices of many images; any order, any number of processes."""

    def __init__(self, class_names: Sequence[str], ignore: int | None = IGNORE) -> None:
        """Name the classes in label order, and the label whose pixels do not count."""
        self.class_names = tuple(class_names)
        self.ignore = ignore
        self._matrices: dict[str, NDArray[np.int64]] = {}

    def add(self, name: str, predicted: NDArray[np.integer], truth: NDArray[np.integer]) -> None:
        """Take one image; see `confusion_matrix`.

        Raises:
            MetricError: if it was added before, the shapes differ or a label is no class.
        """
        if name in self._matrices:
            raise MetricError(f'{name}: added twice')
        try:
            matrix = confusion_matrix(predicted, truth, len(self.class_names), self.ignore)
        except MetricError as error:
            raise MetricError(f'{name}: {error}') from error
        self._matrices[name] = matrix

    def add_matrix(self, name: str, matrix: NDArray[np.int64]) -> None:
        """Take the confusion matrix (K, K) of one image.

        Raises:
            MetricError: if it was added before or has another size.
        """
        if name in self._matrices:
            raise MetricError(f'{name}: added twice')
        classes = len(self.class_names)
        if matrix.shape != (classes, classes):
            raise MetricError(f'{name}: found {matrix.shape}, expected {(classes, classes)}')
        self._matrices[name] = matrix

    def merge(self, other: SegmentationScorer) -> None:
        """Take the images of another scorer.

        Raises:
            MetricError: if it has other classes or an image of this one.
        """
        if (self.class_names, self.ignore) != (other.class_names, other.ignore):
            raise MetricError(
                f'segmentation: found classes {other.class_names} (ignored {other.ignore}), '
                f'expected {self.class_names} ({self.ignore})'
            )
        if twice := sorted(self._matrices.keys() & other._matrices.keys()):
            raise MetricError(f'{twice[0]}: added twice')
        self._matrices.update(other._matrices)

    def names(self) -> list[str]:
        """Return the images in the order of `matrices`: sorted by name."""
        return sorted(self._matrices)

    def matrices(self) -> NDArray[np.int64]:
        """Return the confusion matrices (I, K, K) of all images."""
        k = len(self.class_names)
        rows = [self._matrices[name] for name in self.names()]
        return np.array(rows, np.int64).reshape(-1, k, k)

    def score(self, weights: NDArray[np.integer] | None = None) -> SegmentationMetrics:
        """Score all images, or images that count as often as `weights` (I,) say."""
        matrices = self.matrices()
        weights = np.ones(len(matrices), np.int64) if weights is None else weights
        return segmentation_metrics(
            np.tensordot(weights, matrices, axes=1).astype(np.int64), self.class_names
        )

    def table(
        self,
        *,
        attributes: Mapping[str, Mapping[str, str]] | None = None,
        units: Mapping[str, Hashable] | None = None,
    ) -> FigureTable:
        """Return the figures for parts of the images and for a bootstrap.

        Args:
            attributes: what is known of each image, by name; None reads it from the names.
            units: what a bootstrap draws, by name of the image; None draws images.
        """
        names, matrices = self.names(), self.matrices()
        pixels = matrices.sum(axis=2)  # (I, K)
        keys = [('all', figure) for figure in FIGURES]
        keys += [(name, figure) for name in self.class_names for figure in CLASS_FIGURES]
        held = [pixels.sum(axis=1)] * len(FIGURES)
        held += [column for column in pixels.T for _ in CLASS_FIGURES]
        return FigureTable(
            names,
            keys,
            lambda weights: _figures(np.tensordot(weights, matrices, axes=1), self.class_names),
            np.stack(held, axis=1),
            None if units is None else [units[name] for name in names],
            None if attributes is None else [attributes[name] for name in names],
        )

    def breakdown(self) -> dict[tuple[str, str], SegmentationMetrics]:
        """Score the images of each light that the names tell, as MFNet's do."""
        names = self.names()
        attributes = {name: image_attributes(name) for name in names}
        return {
            (key, value): self.score(
                np.array([attributes[n].get(key) == value for n in names], np.int64)
            )
            for key, value in attribute_values(attributes)
        }


def _figures(matrix: NDArray[np.int64], class_names: Sequence[str]) -> NDArray[np.float64]:
    metrics = segmentation_metrics(matrix, class_names)
    values = [getattr(metrics, figure) for figure in FIGURES]
    values += [getattr(m, figure) for m in metrics.per_class.values() for figure in CLASS_FIGURES]
    return np.array(values, np.float64)  # None becomes NaN


def _ratio(part: np.integer, whole: np.integer) -> float | None:
    return int(part) / int(whole) if whole else None


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None
