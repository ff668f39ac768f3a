"""What the name of an image, or its row in the annotations, tells about how it was taken."""

from __future__ import annotations

import re
from typing import Any, TYPE_CHECKING

from thermal_perception.evaluation.image_names import attributes_of

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence


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
    if row and 'condition' in row:
        return {'condition': str(row['condition'])}
    known, told = attributes_of(file_name), {}
    if known.light is not None:
        told['light'] = str(known.light)
    if known.altitude_m is not None:
        told['altitude'] = f'{known.altitude_m:.0f} m'
    return told


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
