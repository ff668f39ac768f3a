"""What the name of an image, or its row in the annotations, tells about how it was taken."""

from __future__ import annotations

from pathlib import PurePosixPath
import re
from typing import Any, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

_HIT_UAV = re.compile(r'(?P<light>[01])_(?P<altitude>\d{2,3})_\d{1,2}_\d+_\d+')
_MFNET = re.compile(r'\d+(?P<light>[DN])(_flip)?')
_KAIST = re.compile(r'set(?P<set>\d\d)[/_]V\d{3}')
_KAIST_DAY = {0, 1, 2, 6, 7, 8}  # the others, 3 to 5 and 9 to 11, were driven at night


def image_attributes(file_name: str, row: Mapping[str, Any] | None = None) -> dict[str, str]:
    """Tell light (`day` or `night`), altitude and weather as far as the name or the row does.

    Understood are the names of HIT-UAV (`0_60_30_0_01234.jpg`: light, metres, angle, weather,
    index), of MFNet and MSRS (`00123N.png`) and of KAIST (`set06_V000_I00019.jpg`), and the
    `condition` in the annotations of simulated scenes.

    Args:
        file_name: name of the image file, with or without folders.
        row: the image's row in COCO annotations, if there is one.

    Returns:
        Attribute to value, for example `{'light': 'day', 'altitude': '60 m'}`; empty if nothing
        is known.
    """
    stem = PurePosixPath(file_name).stem
    if match := _HIT_UAV.fullmatch(stem):
        light = 'night' if match['light'] == '1' else 'day'
        return {'light': light, 'altitude': f'{int(match["altitude"])} m'}
    if match := _MFNET.fullmatch(stem):
        return {'light': 'night' if match['light'] == 'N' else 'day'}
    if match := _KAIST.search(file_name):
        return {'light': 'day' if int(match['set']) in _KAIST_DAY else 'night'}
    if row and 'condition' in row:
        return {'condition': str(row['condition'])}
    return {}


def attributes_by_id(annotations: Mapping[str, Any]) -> dict[int, dict[str, str]]:
    """Tell the attributes of every image of COCO annotations, by id."""
    return {
        row['id']: image_attributes(row.get('file_name', ''), row) for row in annotations['images']
    }


def attribute_values(attributes: Mapping[Any, Mapping[str, str]]) -> list[tuple[str, str]]:
    """List every (attribute, value) that occurs, numbers in their own order."""
    pairs = {pair for values in attributes.values() for pair in values.items()}
    return sorted(pairs, key=lambda pair: (pair[0] != 'light', pair[0], _number(pair[1]), pair[1]))


def sampling_units(
    annotations: Mapping[str, Any], image_ids: Sequence[int]
) -> tuple[str, list[Hashable]]:
    """Tell what a bootstrap should draw: scenes where the annotations name them, else images.

    Returns:
        `scene` or `image`, and the unit of each of `image_ids`.
    """
    scenes = {row['id']: row.get('scene_seed') for row in annotations['images']}
    if all(scenes.get(image_id) is not None for image_id in image_ids):
        return 'scene', [scenes[image_id] for image_id in image_ids]
    return 'image', list(image_ids)


def _number(value: str) -> int:
    digits = re.match(r'\d+', value)
    return int(digits[0]) if digits else 0
