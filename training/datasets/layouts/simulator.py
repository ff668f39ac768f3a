"""Data sets made by `python -m training simulate`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from training.datasets.layouts.coco import read_coco
from training.datasets.layouts.folders import require_folder
from training.datasets.layouts.found import Found, Layout
from training.datasets.pictures import Picture

if TYPE_CHECKING:
    from pathlib import Path

    from training.datasets.config import DatasetConfig

TREE = 'images/SPLIT/*.png, rgb/SPLIT/*.png (from --rgb) and annotations/SPLIT.json'


def read(directory: Path, config: DatasetConfig) -> Found:
    """Read pairs of `images/SPLIT` and `rgb/SPLIT`; boxes are those of the thermal image.

    The two cameras are registered only if the set was made with `--registered`.

    Source: `training/simulate.py`.
    """
    split = str(config.split)
    thermal = require_folder(directory / 'images' / split, TREE)
    rgb = require_folder(directory / 'rgb' / split, TREE)
    return read_coco(
        directory / 'annotations' / f'{split}.json',
        lambda name: {
            'thermal': Picture(thermal / name, 'thermal'),
            'rgb': Picture(rgb / name, 'rgb'),
        },
    )


LAYOUT = Layout(read, TREE)
