"""Teledyne FLIR ADAS, version 1 (2018 to 2020)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from training.datasets.layouts.coco import read_coco, used_classes
from training.datasets.layouts.flir_classes import THREE_CLASSES
from training.datasets.layouts.folders import images_by_stem, require_folder
from training.datasets.layouts.found import Found, Layout
from training.datasets.pictures import Picture

if TYPE_CHECKING:
    from pathlib import Path

    from training.datasets.config import DatasetConfig

TREE = '{train,val,video}/thermal_8_bit/*.jpeg, RGB/*.jpg and thermal_annotations.json'


def read(directory: Path, config: DatasetConfig) -> Found:
    """Read the thermal images of a split, each with the colour image of the same number.

    Only thermal images are annotated, and the two cameras differ in place, size and field of view:
    boxes do not fit the colour image. A few hundred thermal images have none.

    Expects `SPLIT/thermal_annotations.json` (COCO, `file_name` such as
    `thermal_8_bit/FLIR_00001.jpeg`), `SPLIT/thermal_8_bit` and, if wanted, `SPLIT/RGB`.

    Source: the data set's ReadMe of 31 July 2018, for content and classes; public loaders of
    release 1.3 (`FLIR_ADAS_1_3`) for the names of files and folders.
    """
    folder = require_folder(directory / str(config.split), TREE)
    require_folder(folder / 'thermal_8_bit', TREE)
    colour = images_by_stem(folder / 'RGB') if (folder / 'RGB').is_dir() else {}

    def pictures(name: str) -> dict[str, Picture]:
        thermal = folder / 'thermal_8_bit' / name.rpartition('/')[2]
        found = {'thermal': Picture(thermal, 'thermal')}
        if thermal.stem in colour:
            found['rgb'] = Picture(colour[thermal.stem], 'rgb')
        return found

    found = read_coco(folder / 'thermal_annotations.json', pictures)
    return replace(found, class_names=used_classes(found))


LAYOUT = Layout(read, TREE, class_map=THREE_CLASSES)
