"""LLVIP, registered low-light pairs from poles beside streets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from training.datasets.layouts.folders import pair_folders, require_folder
from training.datasets.layouts.found import Found, Layout
from training.datasets.layouts.labelled import with_labels
from training.datasets.layouts.voc import read_objects

if TYPE_CHECKING:
    from pathlib import Path

    from training.datasets.config import DatasetConfig

CLASSES = ('person',)
TREE = 'infrared/{train,test}/*.jpg, visible/{train,test}/*.jpg and Annotations/*.xml'


def read(directory: Path, config: DatasetConfig) -> Found:
    """Read pairs of 1280 x 1024 pixels of the split `train` or `test`, with VOC labels.

    Expects `infrared/SPLIT`, `visible/SPLIT` and one flat folder `Annotations` for both splits;
    the two images of a pair have the same six-digit name.

    Source: the tree in the README of github.com/bupt-ai-cz/LLVIP; public converters for
    `Annotations` and the class.
    """
    thermal = require_folder(directory / 'infrared' / str(config.split), TREE)
    rgb = require_folder(directory / 'visible' / str(config.split), TREE)
    labels = require_folder(directory / 'Annotations', TREE)
    pairs = pair_folders(thermal, rgb, None)
    return with_labels(pairs, lambda name: labels / f'{name}.xml', read_objects, CLASSES)


LAYOUT = Layout(read, TREE)
