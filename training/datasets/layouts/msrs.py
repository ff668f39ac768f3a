"""MSRS, the well-aligned pairs of MFNet with enhanced thermal images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thermal_perception.class_sets import MFNET
from training.datasets.layouts.folders import pair_folders, require_folder
from training.datasets.layouts.found import Found, Layout

if TYPE_CHECKING:
    from pathlib import Path

    from training.datasets.config import DatasetConfig

TREE = '{train,test}/ir/*.png, vi/*.png and Segmentation_labels/*.png'


def read(directory: Path, config: DatasetConfig) -> Found:
    """Read the split `train` or `test`: pairs of 640 x 480 pixels with MFNet's nine classes.

    Names are those of MFNet and tell day from night. The boxes of `detection/`, for 80 images of
    both splits, are not read.

    Source: README and `visualize.py` of github.com/Linfeng-Tang/MSRS.
    """
    folder = require_folder(directory / str(config.split), TREE)
    thermal = require_folder(folder / 'ir', TREE)
    rgb = require_folder(folder / 'vi', TREE)
    masks = require_folder(folder / 'Segmentation_labels', TREE)
    return pair_folders(thermal, rgb, None, masks=masks)


LAYOUT = Layout(
    read, TREE, labelled=False, mask_names=MFNET.names, mask_colours=MFNET.colours
)
