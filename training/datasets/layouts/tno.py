"""TNO Image Fusion Dataset, grey visible and thermal pairs of several cameras."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from thermal_perception.errors import DatasetError
from thermal_perception.evaluation.image_files import IMAGE_SUFFIXES
from training.datasets.layouts import pairs
from training.datasets.layouts.folders import list_folder, require_folder
from training.datasets.layouts.found import Found, Item, Layout
from training.datasets.pictures import Picture
from training.datasets.record import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from training.datasets.config import DatasetConfig

TREE = (
    'ir/* and vi/*, or the scene folders of the release (IR*.bmp beside VIS*.bmp, or thermal/* '
    'beside visual/*)'
)
_FOLDERS = {'thermal': 'thermal', 'visual': 'rgb', 'dhv': 'rgb'}
_THERMAL = re.compile(r'^(IR|LWIR|RAD)(?![A-Za-z])|\di$', re.IGNORECASE)
_VISIBLE = re.compile(r'^(VIS|DHV)(?![A-Za-z])|\dv$', re.IGNORECASE)


def read(directory: Path, config: DatasetConfig) -> Found:
    """Read all pairs, or those that `SPLIT.txt` names; no labels.

    Expects `ir` and `vi` with the same names, as fusion papers share the set, or the release
    itself: one folder per scene with files `IR_NUMBER` and `VIS_NUMBER`, `NUMBERi` and `NUMBERv`,
    `LWIR` and `Vis`, or two subfolders `thermal` and `visual` (`dhv`). Within a scene files pair
    up by the last number in their names. Near-infrared images are left out. Names and numbers are
    not regular everywhere: `inspect` lists what found no partner.

    Source: TarDAL's loader for `ir` and `vi`; a public description of the release (figshare
    1008029) for its folders.
    """
    require_folder(directory, TREE)
    if any((directory / name).is_dir() for name in pairs.THERMAL):
        return pairs.read(directory, config)
    found = _scenes(directory)
    if config.split is not None:
        raise DatasetError(f'{directory}: found split {config.split!r}, expected null: all scenes')
    return found


def _scenes(directory: Path) -> Found:
    scenes: dict[Path, dict[str, dict[str, Path]]] = {}
    for path in sorted(directory.rglob('*')):
        if path.suffix.lower() in IMAGE_SUFFIXES and (kind := _kind(path)):
            scene = path.parent.parent if path.parent.name.lower() in _FOLDERS else path.parent
            files = scenes.setdefault(scene, {'thermal': {}, 'rgb': {}})
            files[kind].setdefault(_number(path), path)
    if not scenes:
        raise DatasetError(
            f'{directory}: holds {list_folder(directory)} without any image named as thermal or '
            f'visible; expected {TREE}'
        )
    items: list[Item] = []
    problems: list[Problem] = []
    for scene, files in scenes.items():
        name = scene.relative_to(directory).as_posix()
        items += _pairs(name, files['thermal'], files['rgb'])
        problems += _alone(files['thermal'], files['rgb'])
        problems += _alone(files['rgb'], files['thermal'])
    return Found(directory, tuple(items), tuple(problems))


def _pairs(scene: str, thermal: dict[str, Path], rgb: dict[str, Path]) -> Iterable[Item]:
    for number in sorted(thermal.keys() & rgb.keys()):
        name = '/'.join(filter(None, (scene, number)))
        yield Item(name, Picture(thermal[number], 'thermal'), Picture(rgb[number], 'rgb'))


def _alone(files: dict[str, Path], partners: dict[str, Path]) -> Iterable[Problem]:
    for number in sorted(files.keys() - partners.keys()):
        detail = f'no image of the other camera has the number {number or "(none)"}'
        yield Problem(files[number], 'image without its pair', detail)


def _kind(path: Path) -> str | None:
    if folder := _FOLDERS.get(path.parent.name.lower()):
        return folder
    if _THERMAL.search(path.stem):
        return 'thermal'
    return 'rgb' if _VISIBLE.search(path.stem) else None


def _number(path: Path) -> str:
    digits = re.findall(r'\d+', path.stem)
    return digits[-1] if digits else ''


LAYOUT = Layout(read, TREE, default_split=None, labelled=False)
