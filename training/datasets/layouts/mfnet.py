"""MFNet, registered colour and thermal street scenes with label images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thermal_perception.class_sets import MFNET
from thermal_perception.evaluation.image_names import attributes_of
from training.datasets.layouts.folders import read_names, require_folder
from training.datasets.layouts.found import Found, Item, Layout
from training.datasets.pictures import Picture

if TYPE_CHECKING:
    from pathlib import Path

    from training.datasets.config import DatasetConfig

TREE = 'images/*.png (four channels), labels/*.png and train.txt, val.txt, test.txt'


def read(directory: Path, config: DatasetConfig) -> Found:
    """Read 640 x 480 images whose PNG holds red, green, blue and thermal as four channels.

    The fourth channel is the thermal image, never transparency. A split is a list of names,
    `SPLIT.txt`; besides train, val and test there may be `test_day` and `test_night`. Names end
    in D (day) or N (night). Label images hold class ids 0..8.

    Source: Ha et al., MFNet, IROS 2017, and the code of MFNet and RTFNet, as summarised in this
    project's specification of RGB-T segmentation.
    """
    images = require_folder(directory / 'images', TREE)
    labels = require_folder(directory / 'labels', TREE)
    names = read_names(directory / f'{config.split}.txt')
    items = tuple(
        Item(
            name,
            Picture(images / f'{name}.png', 'thermal', packed=True),
            Picture(images / f'{name}.png', 'rgb', packed=True),
            mask=Picture(labels / f'{name}.png', 'mask'),
            attributes=attributes_of(name),
        )
        for name in names
    )
    return Found(images, items)


LAYOUT = Layout(
    read, TREE, labelled=False, mask_names=MFNET.names, mask_colours=MFNET.colours
)
