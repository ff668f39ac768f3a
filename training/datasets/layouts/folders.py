"""Folders, lists and pairs: what several readers share."""

from __future__ import annotations

from typing import Any, TYPE_CHECKING

from thermal_perception.errors import DatasetError
from thermal_perception.evaluation.image_files import IMAGE_SUFFIXES
from thermal_perception.evaluation.image_names import attributes_of
from training.datasets.layouts.found import Found, Item
from training.datasets.pictures import Picture
from training.datasets.record import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

_SHOWN = 8  # entries of a wrong folder that a message lists


def require_folder(folder: Path, expected: str) -> Path:
    """Return a folder that must be there.

    Raises:
        DatasetError: saying what lies there instead and what was expected.
    """
    if folder.is_dir():
        return folder
    parent = folder.parent
    while not parent.is_dir() and parent != parent.parent:
        parent = parent.parent
    raise DatasetError(
        f'{folder}: is not a folder; {parent} holds {list_folder(parent)}; expected {expected}'
    )


def first_folder(directory: Path, names: Iterable[str], expected: str) -> Path:
    """Return the first of several possible subfolders.

    Raises:
        DatasetError: if there is none.
    """
    require_folder(directory, expected)
    for name in names:
        if (directory / name).is_dir():
            return directory / name
    raise DatasetError(
        f'{directory}: holds {list_folder(directory)}; expected a folder {" or ".join(names)} '
        f'({expected})'
    )


def images_by_stem(folder: Path) -> dict[str, Path]:
    """Return the image files of a folder by name without suffix, in order of name."""
    files = sorted(p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
    return {p.stem: p for p in files}


def read_names(path: Path) -> list[str]:
    """Read a list of names, one a line; blank lines and suffixes of images are left out.

    Raises:
        DatasetError: if it cannot be read or is empty.
    """
    try:
        lines = path.read_text(encoding='utf-8').split('\n')
    except (OSError, UnicodeDecodeError) as error:
        holds = list_folder(path.parent)
        raise DatasetError(
            f'{path}: cannot be read ({type(error).__name__}); {path.parent} holds {holds}; '
            'expected a list of names, one a line'
        ) from error
    names = [_without_suffix(line.strip()) for line in lines if line.strip()]
    if not names:
        raise DatasetError(f'{path}: is empty, expected a list of names, one a line')
    return names


def pair_folders(
    thermal: Path, rgb: Path, names: Sequence[str] | None, *, masks: Path | None = None
) -> Found:
    """Pair the images of two folders, and label images of a third, by name.

    Args:
        thermal: folder of thermal images.
        rgb: folder of colour images.
        names: those that are wanted; None takes all.
        masks: folder of label images.

    Returns:
        Pairs in the order of `names`; an image without its partner is listed as a problem.
    """
    folders: dict[Any, Path] = {'thermal': thermal, 'rgb': rgb}
    if masks is not None:
        folders['mask'] = masks
    files = {kind: images_by_stem(folder) for kind, folder in folders.items()}
    wanted = names if names is not None else sorted(set().union(*files.values()))
    items, problems = [], []
    for name in wanted:
        absent = [folders[kind] for kind in folders if name not in files[kind]]
        if absent:
            detail = f'expected an image {name} in {" and ".join(map(str, absent))}'
            problems.append(Problem(thermal / name, 'image without its pair', detail))
            continue
        pictures: dict[str, Any] = {k: Picture(files[k][name], k) for k in folders}
        items.append(Item(name, attributes=attributes_of(name), **pictures))
    return Found(thermal.parent, tuple(items), tuple(problems))


def list_folder(folder: Path) -> str:
    """Return the first names in a folder as text, for messages."""
    try:
        names = sorted(p.name + '/' * p.is_dir() for p in folder.iterdir())
    except OSError:
        return 'nothing readable'
    more = f' and {len(names) - _SHOWN} more' if len(names) > _SHOWN else ''
    return (', '.join(names[:_SHOWN]) or 'nothing') + more


def _without_suffix(name: str) -> str:
    stem, dot, suffix = name.rpartition('.')
    return stem if f'{dot}{suffix}'.lower() in IMAGE_SUFFIXES else name
