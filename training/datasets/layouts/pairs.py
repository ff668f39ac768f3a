"""Folders of unlabelled pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from training.datasets.layouts.folders import first_folder, pair_folders, read_names
from training.datasets.layouts.found import Found, Layout

if TYPE_CHECKING:
    from pathlib import Path

    from training.datasets.config import DatasetConfig

THERMAL = ('thermal', 'infrared', 'ir', 'Ir', 'IR', 'lwir', 'inf')
RGB = ('rgb', 'visible', 'vi', 'vis', 'Vis', 'VI', 'VIS')
TREE = 'thermal/* (or infrared, ir) and rgb/* (or visible, vi), same names'


def read(directory: Path, config: DatasetConfig) -> Found:
    """Read the pairs that `SPLIT.txt` names, or all pairs if the split is null.

    Expects two folders, `thermal`, `infrared` or `ir`, and `rgb`, `visible` or `vi`, whose images
    have the same names; suffixes and sizes may differ.

    Source: this project's own convention, which covers how fusion papers arrange their data.
    """
    thermal = first_folder(directory, THERMAL, TREE)
    rgb = first_folder(directory, RGB, TREE)
    names = None if config.split is None else read_names(directory / f'{config.split}.txt')
    return pair_folders(thermal, rgb, names)


LAYOUT = Layout(read, TREE, default_split=None, labelled=False)
