"""Teledyne FLIR ADAS, version 2 (2022)."""

from __future__ import annotations

from dataclasses import replace
import json
from typing import TYPE_CHECKING

from thermal_perception.errors import DatasetError
from training.datasets.layouts.coco import read_coco, used_classes
from training.datasets.layouts.flir_classes import THREE_CLASSES
from training.datasets.layouts.folders import require_folder
from training.datasets.layouts.found import Found, Layout
from training.datasets.pictures import Picture

if TYPE_CHECKING:
    from pathlib import Path

    from training.datasets.config import DatasetConfig

TREE = '{images_thermal_train,images_thermal_val,video_thermal_test}/data/*.jpg and coco.json'
_PREFIX = {'train': 'images', 'val': 'images', 'test': 'video'}
_PAIRS = 'rgb_to_thermal_vid_map.json'


def read(directory: Path, config: DatasetConfig) -> Found:
    """Read the thermal images of a split, or with `labels_from: rgb` the colour images.

    Colour and thermal images of `train` and `val` are different frames with labels of their own;
    only the frames of `test` are pairs, and these are not registered.

    Expects `images_thermal_train`, `images_thermal_val` and `video_thermal_test` (or `rgb` for
    `thermal`), each with `coco.json` (`file_name` such as `data/NAME.jpg`) and `data`; and for
    pairs `rgb_to_thermal_vid_map.json`, an object of colour name to thermal name.

    Source: the data set's ReadMe (19 January 2022) and a public description checked on its files.
    """
    split = str(config.split)
    if split not in _PREFIX:
        raise DatasetError(f'{directory}: found split {split!r}, expected train, val or test')
    kind = config.labels_from
    folder = require_folder(directory / f'{_PREFIX[split]}_{kind}_{split}', TREE)
    partners = _partners(directory) if (split, kind) == ('test', 'thermal') else {}

    def pictures(name: str) -> dict[str, Picture]:
        found: dict[str, Picture] = {kind: Picture(folder / name, kind)}
        partner = partners.get(name.rpartition('/')[2])
        if partner:
            found['rgb'] = Picture(directory / 'video_rgb_test' / 'data' / partner, 'rgb')
        return found

    found = read_coco(folder / 'coco.json', pictures)
    return replace(found, class_names=used_classes(found))


def _partners(directory: Path) -> dict[str, str]:
    """Return thermal name to colour name of the test video, empty without the map."""
    path = directory / _PAIRS
    if not path.is_file():
        return {}
    try:
        return {thermal: rgb for rgb, thermal in json.loads(path.read_text('utf-8')).items()}
    except (ValueError, AttributeError) as error:
        raise DatasetError(f'{path}: is no JSON object of colour to thermal names') from error


LAYOUT = Layout(read, TREE, class_map=THREE_CLASSES)
