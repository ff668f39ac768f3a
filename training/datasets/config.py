"""Which images of which data set a run uses."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

LayoutName = Literal[
    'coco',
    'simulator',
    'flir_v1',
    'flir_v2',
    'm3fd',
    'llvip',
    'kaist',
    'dronevehicle',
    'msrs',
    'mfnet',
    'pst900',
    'roadscene',
    'tno',
    'pairs',
    'dair',
]


@dataclass(frozen=True)
class DatasetConfig:
    """One source of training or development images.

    Attributes:
        directory: top folder of the data set.
        layout: how the folder is arranged; see `training.datasets.layouts`.
        split: name of the split; null takes everything, where the layout has such a thing.
        part: `all`, or one side of the split into blocks of frame index: every
            `dev_every`-th block of `dev_block` indices is `dev`, the others are `train`.
            Neighbouring frames look alike, so single frames must not be held out.
        dev_block: frame indices per block.
        dev_every: one block in this many is held out.
        labels_from: whose labels to read where both cameras have their own.
        class_map: class of the data set to class of the model, in lower snake case; an empty
            name takes the object for background, `ignore` makes it a region without a verdict.
        crop_px: pixels cut off on every side; DroneVehicle has a white border of 100.
        lazy: decode each image when it is drawn, for sets too large for the cache.
        repeat: how often each image appears in an epoch; may be fractional.
        vertical_flip: overrides the augmentation's probability.
        zoom: overrides the augmentation's range; streets need a wider view than aerial frames.
        rare_repeat: images with a class found in fewer than this share of images appear
            sqrt(share / frequency) times as often.
    """

    directory: str
    layout: LayoutName = 'coco'
    split: str | None = 'train'
    part: Literal['all', 'train', 'dev'] = 'all'
    dev_block: int = 100
    dev_every: int = 10
    labels_from: Literal['thermal', 'rgb'] = 'thermal'
    class_map: dict[str, str] = field(default_factory=dict)
    crop_px: int = 0
    lazy: bool = False
    repeat: float = 1.0
    vertical_flip: float = 0.0
    zoom: tuple[float, float] | None = None
    rare_repeat: float = 0.0
