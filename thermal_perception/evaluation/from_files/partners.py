"""Files of the same name, without its suffix, in several folders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from thermal_perception.errors import DatasetError
from thermal_perception.evaluation.image_files import IMAGE_SUFFIXES, list_images

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path


@dataclass(frozen=True)
class Partners:
    """Files that belong together.

    Attributes:
        rows: side (as `thermal`) to file, for each image, ordered by name.
        left_out: side to names of the files that no result was made of; only sides with some.
    """

    rows: tuple[Mapping[str, Path], ...]
    left_out: Mapping[str, tuple[str, ...]]


def find_partners(
    sources: Mapping[str, Path], results: tuple[str, Path], names: Path | None = None
) -> Partners:
    """Find the files of each result.

    Args:
        sources: side to folder of images that results were made of or are held against.
        results: side and folder of the results.
        names: file with a name per line, to score exactly these; without it every result counts,
            and sources without a result are left out.

    Raises:
        DatasetError: if a folder holds no image or two of one name, or a wanted file is missing.
    """
    folders = {**sources, results[0]: results[1]}
    files = {side: _by_stem(folder) for side, folder in folders.items()}
    wanted = sorted(files[results[0]] if names is None else read_names(names))
    asked = str(results[1] if names is None else names)
    for side, folder in folders.items():
        if missing := [name for name in wanted if name not in files[side]]:
            raise DatasetError(
                f'{folder}: holds no image for {len(missing)} of the {len(wanted)} names of '
                f'{asked}, the first is {missing[0]}'
            )
    rows = tuple({side: files[side][name] for side in folders} for name in wanted)
    return Partners(rows, _left_out(files, wanted) if names is None else {})


def read_names(path: Path) -> list[str]:
    """Read a list of image names, with or without the suffix of an image.

    Raises:
        DatasetError: if it cannot be read, is empty, or names an image twice.
    """
    try:
        lines = path.read_text(encoding='utf-8').split('\n')
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f'{path}: cannot be read: {error}') from error
    names = [_without_suffix(line.strip()) for line in lines if line.strip()]
    if not names:
        raise DatasetError(f'{path}: is empty, expected the name of an image per line')
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise DatasetError(f'{path}: names {name} twice')
        seen.add(name)
    return names


def _by_stem(folder: Path) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for path in list_images(folder):
        if path.stem in files:
            raise DatasetError(
                f'{folder}: found {files[path.stem].name} and {path.name}, expected one image of '
                f'a name'
            )
        files[path.stem] = path
    return files


def _left_out(
    files: Mapping[str, Mapping[str, Path]], wanted: Iterable[str]
) -> dict[str, tuple[str, ...]]:
    known = set(wanted)
    spare = {side: tuple(sorted(of_side.keys() - known)) for side, of_side in files.items()}
    return {side: names for side, names in spare.items() if names}


def _without_suffix(name: str) -> str:
    stem, dot, suffix = name.rpartition('.')
    return stem if dot and f'.{suffix.lower()}' in IMAGE_SUFFIXES else name
