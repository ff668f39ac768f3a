"""PST900, colour and thermal images from underground robots with label images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thermal_perception.class_sets import PST900
from training.datasets.layouts.folders import pair_folders, require_folder
from training.datasets.layouts.found import Found, Layout

if TYPE_CHECKING:
    from pathlib import Path

    from training.datasets.config import DatasetConfig

TREE = '{train,test}/{rgb,thermal,labels}/*.png'


def read(directory: Path, config: DatasetConfig) -> Found:
    """Read the split `train` or `test`, 1280 x 720 pixels, ids 0..4.

    The thermal image is the camera's 8-bit one, seen from the colour camera: pixels without a
    measurement are 0. There is no val split: hold out blocks with `part`. `thermal_raw` (16 bit)
    and `depth` lie beside and are not read.

    Source: README of github.com/ShreyasSkandanS/pst900_thermal_rgb.
    """
    folder = require_folder(directory / str(config.split), TREE)
    thermal = require_folder(folder / 'thermal', TREE)
    rgb = require_folder(folder / 'rgb', TREE)
    masks = require_folder(folder / 'labels', TREE)
    return pair_folders(thermal, rgb, None, masks=masks)


LAYOUT = Layout(
    read, TREE, labelled=False, mask_names=PST900.names, mask_colours=PST900.colours
)
