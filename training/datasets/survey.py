"""Decoding everything of a data set once, to count it and to find what is broken."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, TYPE_CHECKING

import numpy as np

from thermal_perception.errors import DatasetError
from training.datasets.checks import (
    drop_impossible_boxes,
    mask_problem,
    reaching_out,
    UNKNOWN_ID,
)
from training.datasets.record import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from training.datasets.folder import Listing
    from training.datasets.record import Record

KINDS = ('thermal', 'rgb', 'mask')


@dataclass
class Survey:
    """What a data set holds.

    Attributes:
        class_names: names in label order.
        mask_names: class names of label images by id.
        records: images that can be used, with the objects that can.
        problems: everything else.
        sizes: kind of picture to how often each (height, width) occurs.
        depths: kind of picture to how often each number of bits per channel occurs.
        highest: kind of picture to the highest value seen.
        unequal_pairs: pairs whose two images differ in size.
        mask_pixels: (256,) pixels of each class id, 255 where unknown.
        mask_images: (256,) images that hold each class id.
        reaching_out: boxes that reach over the border.
    """

    class_names: tuple[str, ...]
    mask_names: tuple[str, ...]
    records: list[Record] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    sizes: dict[str, Counter[tuple[int, int]]] = field(
        default_factory=lambda: {kind: Counter() for kind in KINDS}
    )
    depths: dict[str, Counter[int]] = field(
        default_factory=lambda: {kind: Counter() for kind in KINDS}
    )
    highest: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    unequal_pairs: int = 0
    mask_pixels: NDArray[np.int64] = field(default_factory=lambda: np.zeros(256, np.int64))
    mask_images: NDArray[np.int64] = field(default_factory=lambda: np.zeros(256, np.int64))
    reaching_out: int = 0

    def box_areas(self) -> NDArray[np.float64]:
        """Return the area of every object in square pixels, oriented boxes by their own sides."""
        return np.concatenate([np.zeros(0), *(_areas(r) for r in self.records)])

    def box_labels(self) -> NDArray[np.int64]:
        """Return the label of every object, in the order of `box_areas`."""
        return np.concatenate([np.zeros(0, np.int64), *(r.labels for r in self.records)])

    def images_per_class(self) -> NDArray[np.int64]:
        """Return how many images hold an object of each class."""
        rows = [np.bincount(r.labels, minlength=len(self.class_names)) > 0 for r in self.records]
        return np.array(rows).reshape(-1, len(self.class_names)).sum(0)


def survey(listing: Listing, records: Iterable[Record] | None = None) -> Survey:
    """Decode and check the images of a listing.

    Args:
        listing: what to look at.
        records: its records, wrapped to show progress.
    """
    result = Survey(
        listing.class_names, listing.layout.mask_names, problems=list(listing.problems)
    )
    for record in listing.records if records is None else records:
        pictures = _decode(record, result)
        if pictures is not None:
            _count(record, pictures, result)
    return result


def _decode(record: Record, result: Survey) -> dict[str, NDArray[Any]] | None:
    """Decode everything of a record; None, with a problem listed, if it cannot be used."""
    decoded = {}
    for kind in KINDS:
        picture = getattr(record, kind)
        if picture is None:
            continue
        try:
            decoded[kind] = picture.read()
        except DatasetError as error:
            reason = str(error).removeprefix(f'{picture.path}: ')
            result.problems.append(Problem(picture.path, 'unreadable image', reason))
            return None
    if record.mask is not None:
        size = next(iter(decoded.values())).shape[:2]
        problem = mask_problem(record, decoded['mask'], size, len(result.mask_names))
        if problem is not None:
            result.problems.append(problem)
            return None
    return decoded


def _count(record: Record, pictures: dict[str, NDArray[Any]], result: Survey) -> None:
    for kind, image in pictures.items():
        result.sizes[kind][image.shape[:2]] += 1
        result.depths[kind][image.dtype.itemsize * 8] += 1
        result.highest[kind] = max(result.highest[kind], int(image.max()))
    sizes = {pictures[kind].shape[:2] for kind in ('thermal', 'rgb') if kind in pictures}
    result.unequal_pairs += len(sizes) > 1
    if 'mask' in pictures:
        pixels = np.bincount(pictures['mask'].ravel(), minlength=UNKNOWN_ID + 1)
        result.mask_pixels += pixels
        result.mask_images += pixels > 0
    size = next(iter(pictures.values())).shape[:2]
    kept, problems = drop_impossible_boxes(record, size)
    result.reaching_out += reaching_out(kept, size)
    result.problems += problems
    result.records.append(kept)


def _areas(record: Record) -> NDArray[np.float64]:
    if record.oriented_cxcywha is not None:
        return record.oriented_cxcywha[:, 2:4].astype(np.float64).prod(1)
    boxes = record.boxes_xyxy_px.astype(np.float64)
    return (boxes[:, 2:] - boxes[:, :2]).prod(1)
