"""Training samples: augmented crops of the images of several data sets.

A sample is a function of (seed, epoch, position), so that an interrupted run continues with
exactly the same data.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple, TYPE_CHECKING

import numpy as np
import torch

from thermal_perception.evaluation.dataset import place_in_counts, thermal_frame
from thermal_perception.models.denoising import Target
from training.augment import (
    AugmentConfig,
    draw_view,
    jitter_intensity,
    warp_boxes,
    warp_image,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from thermal_perception.preprocess import Preprocess, PreprocessConfig
    from thermal_perception.types import Frame
    from training.augment import View
    from training.datasets import DataFolder, DatasetConfig, Record

_BLANK = 0.35  # grey level of wiped-out ignore regions


class Batch(NamedTuple):
    """Training input.

    Attributes:
        images: (B, 1, H, W) float32 in 0..1.
        padding: (B, H, W) bool, True where padded; None if all images have one size.
        targets: one per image, relative to its unpadded size.
    """

    images: Tensor
    padding: Tensor | None
    targets: list[Target]


class TrainingSamples:
    """Draws augmented crops from several folders."""

    def __init__(
        self,
        folders: Sequence[DataFolder],
        augment: AugmentConfig,
        preprocess: Preprocess,
        *,
        seed: int,
    ) -> None:
        """Count how often each image appears and how rare each class is."""
        self.folders, self.augment, self.preprocess = folders, augment, preprocess
        self.seed = seed
        self._expected = [_appearances(f) for f in folders]
        counts = np.zeros(len(folders[0].class_names))
        for folder in folders:
            for record in folder.records:
                counts += np.bincount(record.labels, minlength=len(counts))
        self._focus = 1.0 / np.sqrt(np.maximum(counts, 1.0))

    @property
    def per_epoch(self) -> int:
        """Expected number of samples of an epoch."""
        return int(sum(e.sum() for e in self._expected))

    def order(self, epoch: int) -> list[tuple[int, int]]:
        """Return the (folder, image) pairs of an epoch, shuffled; exactly `per_epoch` of them."""
        rng = np.random.default_rng((self.seed, epoch))
        pairs = []
        for f, expected in enumerate(self._expected):
            whole = np.floor(expected + rng.random(len(expected))).astype(int)
            pairs += [(f, int(i)) for i in np.repeat(np.arange(len(whole)), whole)]
        picked = rng.permutation(len(pairs))
        short = self.per_epoch - len(picked)
        if short > 0:
            picked = np.concatenate((picked, rng.integers(len(pairs), size=short)))
        return [pairs[i] for i in picked[: self.per_epoch]]

    def sample(self, pair: tuple[int, int], *, epoch: int, position: int) -> tuple[Any, Target]:
        """Return one (h, w) float32 crop in 0..1 and its target."""
        rng = np.random.default_rng((self.seed, epoch, position))
        folder = self.folders[pair[0]]
        record, frame = folder.draw(pair[1])
        image = self._to_unit(frame, rng)
        config = _augment_for(folder.config, self.augment)
        weights = self._focus[record.labels]
        view = draw_view(config, frame.size, record.boxes_xyxy_px, weights, rng)
        crop = warp_image(image, *view)
        target = _move_objects(record, view, config.min_visible, crop)
        return jitter_intensity(crop, config, rng), target

    def batch(self, pairs: Sequence[tuple[int, int]], *, epoch: int, first: int) -> Batch:
        """Return the batch whose first sample has position `first` in the epoch."""
        samples = [
            self.sample(pair, epoch=epoch, position=first + i) for i, pair in enumerate(pairs)
        ]
        images, padding = collate([image for image, _ in samples], self.preprocess.config)
        return Batch(images, padding, [target for _, target in samples])

    def _to_unit(self, frame: Frame, rng: np.random.Generator) -> NDArray[np.float32]:
        deepen = rng.random() < self.augment.deep
        if deepen and frame.image.dtype == np.uint8:
            counts = place_in_counts(frame.image, tuple(rng.integers(2**31, size=2)))
            frame = thermal_frame(counts, valid_bits=14, frame_id=frame.frame_id)
        return self.preprocess.thermal(frame)


def collate(
    images: Sequence[NDArray[np.float32]], config: PreprocessConfig
) -> tuple[Tensor, Tensor | None]:
    """Stack (h, w) images, padded right and bottom to the largest, rounded up as on the robot.

    Returns:
        (B, 1, H, W) images and (B, H, W) bool padding, None if nothing is padded.
    """
    largest = max(i.shape[0] for i in images), max(i.shape[1] for i in images)
    height, width = config.padded(largest)
    stacked = np.zeros((len(images), 1, height, width), np.float32)
    padding = np.ones((len(images), height, width), np.bool_)
    for i, image in enumerate(images):
        stacked[i, 0, : image.shape[0], : image.shape[1]] = image
        padding[i, : image.shape[0], : image.shape[1]] = False
    return torch.from_numpy(stacked), torch.from_numpy(padding) if padding.any() else None


def _augment_for(dataset: DatasetConfig, config: AugmentConfig) -> AugmentConfig:
    return replace(
        config,
        vertical_flip=dataset.vertical_flip or config.vertical_flip,
        zoom=dataset.zoom or config.zoom,
    )


def _move_objects(
    record: Record, view: View, min_visible: float, crop: NDArray[np.float32]
) -> Target:
    """Return the objects left in the crop; wipe out ignore regions and slivers."""
    boxes, visible = warp_boxes(record.boxes_xyxy_px, *view)
    keep = (visible >= min_visible) & ((boxes[:, 2:] - boxes[:, :2]) >= 2).all(1)
    ignored, _ = warp_boxes(record.ignore_xyxy_px, *view)
    for x1, y1, x2, y2 in np.concatenate((ignored, boxes[~keep & (visible > 0)])).round():
        crop[int(y1) : int(y2), int(x1) : int(x2)] = _BLANK
    height, width = view.size
    kept = boxes[keep]
    cxcywh = np.concatenate(((kept[:, :2] + kept[:, 2:]) / 2, kept[:, 2:] - kept[:, :2]), 1)
    norm = (cxcywh / (width, height, width, height)).astype(np.float32)
    return Target(torch.from_numpy(record.labels[keep]), torch.from_numpy(norm))


def _appearances(folder: DataFolder) -> NDArray[np.float64]:
    """Return how often each image is expected in an epoch."""
    classes = len(folder.class_names)
    has = np.array([np.bincount(r.labels, minlength=classes) > 0 for r in folder.records])
    frequency = np.maximum(has.mean(0), 1e-6)
    boost = np.maximum(np.sqrt(folder.config.rare_repeat / frequency), 1.0)
    rarest = np.where(has, boost, 1.0).max(1)
    return rarest * folder.config.repeat
