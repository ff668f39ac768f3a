"""COCO-format thermal images as training samples.

Images are decoded once into a memory-mapped cache; a sample is a function of
(seed, epoch, position), so that an interrupted run continues with exactly the same data.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
import hashlib
from pathlib import Path
import re
from typing import Any, NamedTuple, TYPE_CHECKING

import numpy as np
import torch

from thermal_perception.errors import DatasetError
from thermal_perception.evaluation.coco import category_labels, is_ignored, read_annotations
from thermal_perception.evaluation.dataset import (
    place_in_counts,
    read_thermal_image,
    thermal_frame,
)
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

_BLANK = 0.35  # grey level of wiped-out ignore regions


@dataclass(frozen=True)
class DatasetConfig:
    """One source of training or development images.

    Attributes:
        directory: folder with `images/SPLIT` and `annotations/SPLIT.json`.
        split: name of the split.
        part: `all`, or one side of the split into blocks of frame index: every
            `dev_every`-th block of `dev_block` indices is `dev`, the others are `train`.
            Neighbouring frames look alike, so single frames must not be held out.
        dev_block: frame indices per block.
        dev_every: one block in this many is held out.
        repeat: how often each image appears in an epoch; may be fractional.
        vertical_flip: overrides the augmentation's probability.
        zoom: overrides the augmentation's range; streets need a wider view than aerial frames.
        rare_repeat: images with a class found in fewer than this share of images appear
            sqrt(share / frequency) times as often.
    """

    directory: str
    split: str = 'train'
    part: str = 'all'
    dev_block: int = 100
    dev_every: int = 10
    repeat: float = 1.0
    vertical_flip: float = 0.0
    zoom: tuple[float, float] | None = None
    rare_repeat: float = 0.0


class Record(NamedTuple):
    """One annotated image.

    Attributes:
        image_id: COCO id.
        path: image file.
        boxes_xyxy_px: (N, 4) float32 objects.
        labels: (N,) int64.
        ignore_xyxy_px: (M, 4) float32 regions without a verdict.
    """

    image_id: int
    path: Path
    boxes_xyxy_px: NDArray[np.float32]
    labels: NDArray[np.int64]
    ignore_xyxy_px: NDArray[np.float32]


class CocoFolder:
    """The records of one split, with their decoded images in a memory-mapped file."""

    def __init__(
        self,
        config: DatasetConfig,
        class_names: Sequence[str],
        root: Path | None = None,
        cache: Path | None = None,
    ) -> None:
        """Read annotations and fill the cache.

        Args:
            config: which split and which part of it.
            class_names: lower-case names in label order.
            root: folder that a relative `config.directory` is in.
            cache: folder for the decoded images; None keeps them in memory.

        Raises:
            DatasetError: if files are missing, classes are unknown or images differ in size.
        """
        self.config = config
        self.class_names = tuple(class_names)
        directory = (root or Path()) / config.directory
        self.annotations = directory / 'annotations' / f'{config.split}.json'
        content = read_annotations(self.annotations)
        self.records = _records(content, directory / 'images' / config.split, self.class_names)
        self.records = [r for r in self.records if _in_part(r.path.name, config)]
        if not self.records:
            raise DatasetError(f'{self.annotations}: found no image in part {config.part!r}')
        self.images = _cached_images(self.records, cache)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.records)

    def frame(self, index: int) -> Frame:
        """Return an image as the robot would see it."""
        return thermal_frame(self.images[index], frame_id=self.records[index].path.name)

    def truth(self) -> dict[str, Any]:
        """Return the COCO annotations of this part."""
        content = read_annotations(self.annotations)
        kept = {r.image_id for r in self.records}
        content['images'] = [i for i in content['images'] if i['id'] in kept]
        content['annotations'] = [a for a in content['annotations'] if a['image_id'] in kept]
        return content


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
        folders: Sequence[CocoFolder],
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
        record, frame = folder.records[pair[1]], folder.frame(pair[1])
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


def _appearances(folder: CocoFolder) -> NDArray[np.float64]:
    """Return how often each image is expected in an epoch."""
    classes = len(folder.class_names)
    has = np.array([np.bincount(r.labels, minlength=classes) > 0 for r in folder.records])
    frequency = np.maximum(has.mean(0), 1e-6)
    boost = np.maximum(np.sqrt(folder.config.rare_repeat / frequency), 1.0)
    rarest = np.where(has, boost, 1.0).max(1)
    return rarest * folder.config.repeat


def _records(content: dict[str, Any], folder: Path, class_names: tuple[str, ...]) -> list[Record]:
    labels = category_labels(content, class_names)
    objects: dict[int, list[Any]] = {i['id']: [] for i in content['images']}
    for annotation in content['annotations']:
        objects[annotation['image_id']].append(annotation)
    return [_record(i, objects[i['id']], labels, folder) for i in content['images']]


def _record(
    image: dict[str, Any], annotations: list[Any], labels: dict[int, int], folder: Path
) -> Record:
    crowd = [a for a in annotations if is_ignored(a)]
    real = [a for a in annotations if not is_ignored(a)]
    boxes = _corners([a['bbox'] for a in real])
    label = np.array([labels[a['category_id']] for a in real], dtype=np.int64)
    solid = ((boxes[:, 2:] - boxes[:, :2]) > 0).all(1)
    ignored = np.unique(_corners([a['bbox'] for a in crowd]), axis=0)
    return Record(
        image['id'], folder / image['file_name'], boxes[solid], label[solid], ignored
    )


def _corners(xywh: list[list[float]]) -> NDArray[np.float32]:
    boxes = np.array(xywh, dtype=np.float32).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return boxes


def _in_part(name: str, config: DatasetConfig) -> bool:
    if config.part == 'all':
        return True
    digits = re.findall(r'\d+', Path(name).stem)
    index = int(digits[-1]) if digits else 0
    held_out = (index // config.dev_block) % config.dev_every == config.dev_every - 1
    return held_out == (config.part == 'dev')


def _cached_images(records: Sequence[Record], cache: Path | None) -> NDArray[Any]:
    """Return (N, H, W) decoded grey images, from `cache` if a matching file is there."""
    first = read_thermal_image(records[0].path)
    shape = (len(records), *first.shape)
    if cache is None:
        images = np.empty(shape, first.dtype)
    else:
        names = '\n'.join(f'{r.path}:{r.path.stat().st_size}' for r in records)
        file = cache / f'{hashlib.sha256(names.encode()).hexdigest()[:16]}.npy'
        if file.is_file():
            return np.load(file, mmap_mode='r')
        cache.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix('.part')
        images = np.lib.format.open_memmap(part, 'w+', first.dtype, shape)
    for i, record in enumerate(records):
        image = read_thermal_image(record.path)
        if image.shape != first.shape or image.dtype != first.dtype:
            raise DatasetError(
                f'{record.path}: found {image.shape} {image.dtype}, expected {first.shape} '
                f'{first.dtype} like the first image'
            )
        images[i] = image
    if cache is not None:
        images.flush()
        part.rename(file)
        return np.load(file, mmap_mode='r')
    return images
