"""What the names of image files tell: light, altitude, camera angle.

Sources: HIT-UAV's README (`T_ALT_ANGLE_W_INDEX`, T 0 is day, 1 night; metres; degrees); MFNet and
MSRS (a number, then D or N); KAIST (sets 00 to 02 and 06 to 08 were driven by day);
`training/simulate.py` (`PRESET_CONDITION_SCENE_FRAME`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
import re
from typing import Any, Literal

_HIT_UAV = re.compile(r'([01])_(\d{2,3})_(\d{1,2})_\d+_\d+')
_MFNET = re.compile(r'\d+([DN])(?:_flip)?')
_KAIST = re.compile(r'set(\d\d)[/_]V\d{3}')
_SIMULATOR = re.compile(r'(?:road|aerial)_([a-z]+)_\d+_\d+')
_KAIST_DAY = ('00', '01', '02', '06', '07', '08')
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


@dataclass(frozen=True)
class Attributes:
    """What the name of an image, or the data set's own notes, tell about it.

    Attributes:
        light: `day` or `night`; None where nothing tells.
        altitude_m: height of the camera above the ground, metres.
        camera_angle_deg: angle of the view below the horizon, 90 looks straight down.
    """

    light: Literal['day', 'night'] | None = None
    altitude_m: float | None = None
    camera_angle_deg: float | None = None


def attributes_of(name: str) -> Attributes:
    """Return what a file name tells; nothing if it follows no pattern."""
    stem = PurePosixPath(name).stem
    if match := _HIT_UAV.fullmatch(stem):
        light, altitude_m, angle_deg = match.groups()
        return Attributes(_LIGHT[light], float(altitude_m), float(angle_deg))
    if match := _MFNET.fullmatch(stem) or _SIMULATOR.fullmatch(stem):
        return Attributes(_LIGHT.get(match[1]))
    if match := _KAIST.search(name):
        return Attributes('day' if match[1] in _KAIST_DAY else 'night')
    return Attributes()


def light_of(word: Any) -> Literal['day', 'night'] | None:
    """Return the light that a note such as `day` means, None for dusk, dawn and anything else."""
    return _LIGHT.get(word)
