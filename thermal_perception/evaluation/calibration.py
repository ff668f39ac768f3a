"""Images by which the ranges of a network's numbers are found, before it is quantised."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from thermal_perception.errors import DatasetError
from thermal_perception.evaluation.dataset import open_split
from thermal_perception.evaluation.image_files import (
    list_images,
    read_thermal_image,
    thermal_frame,
)
from thermal_perception.evaluation.labelled_pairs import open_labelled_pairs
from thermal_perception.evaluation.pairs import is_pair_folder, open_pairs
from thermal_perception.types import FrameSet

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from pathlib import Path
    from typing import Any

    from thermal_perception.types import Modality

    Reader = Callable[[Collection[Modality]], FrameSet]


def open_images(
    directory: Path, split: str | None, number: int
) -> Callable[[Collection[Modality]], Iterator[FrameSet]]:
    """Find images, evenly spread over all there are; the function reads those of some cameras.

    Args:
        directory: thermal images alone; or a data set of images with boxes, with labels, or in
            pairs of thermal and colour images.
        split: of the data set; None: of pairs all.
        number: of moments, or all if there are fewer.

    Raises:
        DatasetError: if there are none.
    """
    readers = _spread(_readers(directory, split), number)

    def read(cameras: Collection[Modality]) -> Iterator[FrameSet]:
        for reader in readers:
            yield reader(cameras)

    return read


def _readers(directory: Path, split: str | None) -> list[Reader]:
    if is_pair_folder(directory):
        return [_pair(pair) for pair in open_pairs(directory, split)]
    if split is None:
        return [_single(path) for path in list_images(directory)]
    if not (directory / 'annotations' / f'{split}.json').is_file():
        return [_pair(pair) for pair in open_labelled_pairs(directory, split)]
    found = open_split(directory, split)

    def of_split(image_id: int, path: Path) -> Reader:
        return lambda cameras: found.frames(image_id, path, cameras, None)

    return [of_split(image_id, path) for image_id, path in found.images]


def _single(path: Path) -> Reader:
    def read(cameras: Collection[Modality]) -> FrameSet:
        if 'rgb' in cameras:
            raise DatasetError(
                f'{path.parent}: found thermal images alone, expected a data set of two cameras'
            )
        return FrameSet(thermal_frame(read_thermal_image(path), frame_id=path.name))

    return read


def _pair(pair: Any) -> Reader:
    def read(cameras: Collection[Modality]) -> FrameSet:
        both: FrameSet = pair.frames()
        return replace(both, **{c: None for c in ('thermal', 'rgb') if c not in cameras})

    return read


def _spread(readers: Sequence[Reader], number: int) -> list[Reader]:
    taken = min(number, len(readers))
    return [readers[i * len(readers) // taken] for i in range(taken)]
