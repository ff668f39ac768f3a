"""Data sets made by `python -m training simulate`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thermal_perception.class_sets import MFNET
from training.datasets.layouts.coco import read_coco
from training.datasets.layouts.folders import require_folder
from training.datasets.layouts.found import Found, Layout
from training.datasets.pictures import Picture

if TYPE_CHECKING:
    from pathlib import Path

    from training.datasets.config import DatasetConfig

TREE = (
    'images/SPLIT/*.png, rgb/SPLIT/*.png (from --rgb), annotations/SPLIT.json and perhaps '
    'labels/SPLIT/*.png (from --labels)'
)



def read(directory: Path, config: DatasetConfig) -> Found:
    """Read pairs of `images/SPLIT` and `rgb/SPLIT`; boxes are those of the thermal image.

    The two cameras are registered only if the set was made with `--registered`. Label images, with
    the ids of MFNet, belong to the thermal image.

    Source: `training/simulate.py`.
    """
    split = str(config.split)
    thermal = require_folder(directory / 'images' / split, TREE)
    rgb = require_folder(directory / 'rgb' / split, TREE)
    labels = directory / 'labels' / split

    def pictures(name: str) -> dict[str, Picture]:
        found = {'thermal': Picture(thermal / name, 'thermal'), 'rgb': Picture(rgb / name, 'rgb')}
        if labels.is_dir():
            found['mask'] = Picture(labels / name, 'mask')
        return found

    return read_coco(directory / 'annotations' / f'{split}.json', pictures)


LAYOUT = Layout(read, TREE, mask_names=MFNET.names, mask_colours=MFNET.colours)
