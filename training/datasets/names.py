"""What the names of image files tell: light, altitude, camera angle.

Sources: HIT-UAV's README (`T_ALT_ANGLE_W_INDEX`, T 0 is day, 1 night; metres; degrees); MFNet and
MSRS (five digits, then D or N); `training/simulate.py` (`PRESET_CONDITION_SCENE_FRAME`).
"""

from __future__ import annotations

import re
from typing import Any, Literal

from training.datasets.record import Attributes

_HIT_UAV = re.compile(r'([01])_(\d+)_(\d+)_\d+_\d+')
_MFNET = re.compile(r'\d{5}([DN])')
_SIMULATOR = re.compile(r'(?:road|aerial)_([a-z]+)_\d+_\d+')
_LIGHT: dict[Any, Literal['day', 'night']] = {
    '0': 'day',
    '1': 'night',
    'D': 'day',
    'N': 'night',
    'day': 'day',
    'glare': 'night',
    'fog': 'day',
    'night': 'night',
}


def attributes_of(name: str) -> Attributes:
    """Return what a file name without suffix tells; nothing if it follows no known pattern."""
    if match := _HIT_UAV.fullmatch(name):
        light, altitude_m, angle_deg = match.groups()
        return Attributes(_LIGHT[light], float(altitude_m), float(angle_deg))
    if match := _MFNET.fullmatch(name) or _SIMULATOR.fullmatch(name):
        return Attributes(_LIGHT.get(match[1]))
    return Attributes()


def light_of(word: Any) -> Literal['day', 'night'] | None:
    """Return the light that a note such as `day` means, None for dusk, dawn and anything else."""
    return _LIGHT.get(word)
