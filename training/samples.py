"""Training samples: augmented crops of the images of several data sets.

A sample is a function of (seed, epoch, position), so that an interrupted run continues with
exactly the same data.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple, TYPE_CHECKING

import numpy as np
import torch

from thermal_perception.errors import ConfigError
from thermal_perception.evaluation.dataset import place_in_counts, thermal_frame
from thermal_perception.models.denoising import Target
from training.augment import (
    AugmentConfig,
    cut_object,
    draw_view,
    jitter_intensity,
    paste_object,
    quadrants,
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


class _Drawn(NamedTuple):
    """A crop (h, w) in 0..1 and what is in it, pixels of the crop."""

    image: NDArray[np.float32]
    boxes_xyxy_px: NDArray[np.float32]
    labels: NDArray[np.int64]

    def target(self) -> Target:
        """Return the objects relative to the size of the crop."""
        low, high = self.boxes_xyxy_px[:, :2], self.boxes_xyxy_px[:, 2:]
        height, width = self.image.shape
        cxcywh = np.concatenate(((low + high) / 2, high - low), 1)
        norm = (cxcywh / (width, height, width, height)).astype(np.float32)
        return Target(torch.from_numpy(self.labels), torch.from_numpy(norm))


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
        self._objects: dict[int, NDArray[np.int64]] = {}

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
        config = _augment_for(self.folders[pair[0]].config, self.augment)
        composed = config.mosaic and rng.random() < config.mosaic
        drawn = self._mosaic(pair, config, rng) if composed else self._crop(pair, config, rng)
        if config.paste and rng.random() < config.paste:
            drawn = self._paste(drawn, pair[0], config, rng)
        return jitter_intensity(drawn.image, config, rng), drawn.target()

    def _crop(
        self, pair: tuple[int, int], config: AugmentConfig, rng: np.random.Generator
    ) -> _Drawn:
        folder = self.folders[pair[0]]
        record, frame = folder.draw(pair[1])
        image = self._to_unit(frame, rng)
        weights = self._focus[record.labels]
        view = draw_view(config, frame.size, record.boxes_xyxy_px, weights, rng)
        crop = warp_image(image, *view)
        return _Drawn(crop, *_move_objects(record, view, config.min_visible, crop))

    def _mosaic(
        self, pair: tuple[int, int], config: AugmentConfig, rng: np.random.Generator
    ) -> _Drawn:
        """Put a sample together of four images of one folder."""
        if config.crop_size is None:
            raise ConfigError('augment.mosaic: found whole images, expected a crop_size')
        others = rng.integers(len(self.folders[pair[0]]), size=3)
        pairs = [pair, *((pair[0], int(other)) for other in others)]
        whole = np.empty(config.crop_size, np.float32)
        boxes, labels = [], []
        for chosen, part in zip(pairs, quadrants(config.crop_size, rng)):
            drawn = self._crop(chosen, replace(config, crop_size=part.size), rng)
            height, width = part.size
            whole[part.y : part.y + height, part.x : part.x + width] = drawn.image
            corner = np.array([part.x, part.y, part.x, part.y], np.float32)
            boxes.append(drawn.boxes_xyxy_px + corner)
            labels.append(drawn.labels)
        return _Drawn(whole, np.concatenate(boxes), np.concatenate(labels))

    def _paste(
        self, drawn: _Drawn, number: int, config: AugmentConfig, rng: np.random.Generator
    ) -> _Drawn:
        """Paste in an object of a rare class, if one can be cut out and there is room for it."""
        chosen = self._rare_object(number, rng)
        if chosen is None:
            return drawn
        index, place = chosen
        record, frame = self.folders[number].draw(index)
        if place >= len(record.labels):
            return drawn  # another image took the place of an unreadable one
        zoom = float(np.exp(rng.uniform(*np.log(config.zoom))))
        patch = cut_object(self._to_unit(frame, rng), record.boxes_xyxy_px, place, zoom)
        box = paste_object(drawn.image, drawn.boxes_xyxy_px, patch, rng) if patch else None
        if box is None:
            return drawn
        boxes = np.concatenate((drawn.boxes_xyxy_px, box[None]))
        return _Drawn(drawn.image, boxes, np.append(drawn.labels, record.labels[place]))

    def _rare_object(
        self, number: int, rng: np.random.Generator
    ) -> tuple[int, int] | None:
        """Draw image and object of a folder, each class as likely as it is rare."""
        if number not in self._objects:
            records = self.folders[number].records
            found = [(i, p, c) for i, r in enumerate(records) for p, c in enumerate(r.labels)]
            self._objects[number] = np.array(found, np.int64).reshape(-1, 3)
        rows = self._objects[number]
        if not len(rows):
            return None
        # One over the square of how many there are here: what another folder has plenty of may
        # be rare in this one.
        weights = 1.0 / np.bincount(rows[:, 2])[rows[:, 2]] ** 2
        index, place, _ = rows[rng.choice(len(rows), p=weights / weights.sum())]
        return int(index), int(place)

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
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return boxes and labels left in the crop; wipe out ignore regions and slivers."""
    boxes, visible = warp_boxes(record.boxes_xyxy_px, *view)
    keep = (visible >= min_visible) & ((boxes[:, 2:] - boxes[:, :2]) >= 2).all(1)
    ignored, _ = warp_boxes(record.ignore_xyxy_px, *view)
    for x1, y1, x2, y2 in np.concatenate((ignored, boxes[~keep & (visible > 0)])).round():
        crop[int(y1) : int(y2), int(x1) : int(x2)] = _BLANK
    return boxes[keep], record.labels[keep]


def _appearances(folder: DataFolder) -> NDArray[np.float64]:
    """Return how often each image is expected in an epoch."""
    classes = len(folder.class_names)
    has = np.array([np.bincount(r.labels, minlength=classes) > 0 for r in folder.records])
    frequency = np.maximum(has.mean(0), 1e-6)
    boost = np.maximum(np.sqrt(folder.config.rare_repeat / frequency), 1.0)
    rarest = np.where(has, boost, 1.0).max(1)
    return rarest * folder.config.repeat
