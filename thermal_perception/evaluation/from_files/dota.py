"""Text files of boxes at any angle, as the DOTA benchmark defines them.

True boxes are in a file per image, `NAME.txt`, a row each: `x1 y1 x2 y2 x3 y3 x4 y4 class
[difficult]`; found boxes in a file per class, `Task1_CLASS.txt`: `NAME score x1 y1 .. x4 y4`.

Source: captain-whu.github.io/DOTA, pages dataset and tasks.
"""

from __future__ import annotations

from dataclasses import dataclass
import math
from typing import TYPE_CHECKING

from thermal_perception.errors import DatasetError
from thermal_perception.evaluation.coco import snake_case

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SPELLINGS = {'feright_car': 'freight_car', 'feright': 'freight_car', 'truvk': 'truck'}
"""How DroneVehicle's own files write two of its classes, and what is meant."""

_PREFIX = 'Task1_'
_TRUE_ROW = 'x1 y1 x2 y2 x3 y3 x4 y4 class [difficult]'
_FOUND_ROW = 'image score x1 y1 x2 y2 x3 y3 x4 y4'


@dataclass(frozen=True)
class OrientedObject:
    """One box.

    Attributes:
        class_name: in lower snake case.
        corners_px: x1, y1 .. x4, y4.
        score: of a found box; of a true one 0 if it is difficult, else 1.
    """

    class_name: str
    corners_px: tuple[float, ...]
    score: float


def read_truth(folder: Path) -> dict[str, list[OrientedObject]]:
    """Read the objects of each image; an empty file is an image without any.

    Raises:
        DatasetError: if there is no file, or a row is not as expected.
    """
    return {
        path.stem: [_true(words, path, line) for line, words in _rows(path)]
        for path in _text_files(folder, 'NAME.txt for each image')
    }


def read_results(folder: Path) -> dict[str, list[tuple[str, OrientedObject]]]:
    """Read the image and box of each row, by class.

    Raises:
        DatasetError: if there is no file, a file has another name, or a row is not as expected.
    """
    found: dict[str, list[tuple[str, OrientedObject]]] = {}
    for path in _text_files(folder, f'{_PREFIX}CLASS.txt for each class'):
        if not path.name.startswith(_PREFIX):
            raise DatasetError(f'{path}: expected the name {_PREFIX}CLASS.txt')
        name = class_name(path.stem.removeprefix(_PREFIX))
        rows = [_found(words, name, path, line) for line, words in _rows(path)]
        found.setdefault(name, []).extend(rows)
    return found


def class_name(text: str) -> str:
    """Return the name of a class in lower snake case, DroneVehicle's misprints put right."""
    name = snake_case(text)
    return SPELLINGS.get(name, name)


def _text_files(folder: Path, expected: str) -> list[Path]:
    if not folder.is_dir():
        raise DatasetError(f'{folder}: is not a folder')
    files = sorted(folder.glob('*.txt'))
    if not files:
        raise DatasetError(f'{folder}: holds no text file, expected {expected}')
    return files


def _rows(path: Path) -> list[tuple[int, list[str]]]:
    """Return the number and words of each line but empty ones and DOTA's `key:value` heads."""
    try:
        lines = path.read_text(encoding='utf-8').split('\n')
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f'{path}: cannot be read: {error}') from error
    rows = [(number, line.split()) for number, line in enumerate(lines, start=1)]
    return [(n, words) for n, words in rows if words and not (len(words) < 9 and ':' in words[0])]


def _true(words: Sequence[str], path: Path, line: int) -> OrientedObject:
    rated = len(words) > 9 and words[-1].isdigit()
    name = '_'.join(words[8:-1] if rated else words[8:])
    corners = _numbers(words[:8], path, line, _TRUE_ROW)
    if len(corners) < 8 or not name:
        raise DatasetError(f'{path}:{line}: found {len(words)} words, expected {_TRUE_ROW}')
    return OrientedObject(class_name(name), corners, float(not (rated and int(words[-1]))))


def _found(words: Sequence[str], name: str, path: Path, line: int) -> tuple[str, OrientedObject]:
    if len(words) != 10:
        raise DatasetError(f'{path}:{line}: found {len(words)} words, expected {_FOUND_ROW}')
    score, *corners = _numbers(words[1:], path, line, _FOUND_ROW)
    return words[0], OrientedObject(name, tuple(corners), score)


def _numbers(words: Sequence[str], path: Path, line: int, expected: str) -> tuple[float, ...]:
    try:
        numbers = tuple(map(float, words))
    except ValueError:
        numbers = (math.nan,)
    if not all(map(math.isfinite, numbers)):
        raise DatasetError(f'{path}:{line}: found {" ".join(words)}, expected {expected}')
    return numbers
