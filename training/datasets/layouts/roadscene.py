"""RoadScene, aligned pairs of roads that differ in size from pair to pair."""

from __future__ import annotations

from typing import TYPE_CHECKING

from training.datasets.layouts.folders import first_folder, pair_folders, read_names
from training.datasets.layouts.found import Found, Layout

if TYPE_CHECKING:
    from pathlib import Path

    from training.datasets.config import DatasetConfig

TREE = 'cropinfrared/*.jpg and crop_LR_visible/*.jpg, same names'


def read(directory: Path, config: DatasetConfig) -> Found:
    """Read the pairs that `SPLIT.txt` names, or all 221 if the split is null; no labels.

    Expects `cropinfrared` and `crop_LR_visible` as published, or `infrared` and `visible`, or
    `ir` and `vi`, as in copies. The published folders `infrared` and `visible` hold full frames
    that do not match pixel by pixel, so the cropped ones are taken where both kinds are there.

    Source: github.com/hanna-xu/RoadScene for the cropped folders; the notes beside copies.
    """
    thermal = first_folder(directory, ('cropinfrared', 'infrared', 'ir'), TREE)
    rgb = first_folder(directory, ('crop_LR_visible', 'visible', 'vi'), TREE)
    names = None if config.split is None else read_names(directory / f'{config.split}.txt')
    return pair_folders(thermal, rgb, names)


LAYOUT = Layout(read, TREE, default_split=None, labelled=False)
