"""From the names a data set uses to the labels of a model, and from items to records."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from thermal_perception.errors import DatasetError
from thermal_perception.evaluation.coco import snake_case
from training.datasets.oriented import box_of_corners
from training.datasets.record import ANY_CLASS, Problem, Record

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from training.datasets.layouts import Found, Item, Layout, Thing
    from training.datasets.pictures import Picture

BACKGROUND = ''
IGNORE = 'ignore'


class LabelMap:
    """Which label an object of a data set gets."""

    def __init__(
        self,
        found: Found,
        layout: Layout,
        class_map: Mapping[str, str],
        class_names: Sequence[str] | None,
    ) -> None:
        """Join the layout's own names, the user's map and the model's classes.

        Args:
            found: says which classes the data set can hold.
            layout: maps spellings to classes.
            class_map: overrides the layout's map.
            class_names: the model's classes in label order; None takes those of the data set.

        Raises:
            DatasetError: if a class of the data set is none of the model's.
        """
        self._maps = layout.class_map, class_map
        self._known = {snake_case(name) for name in found.class_names}
        self._labels: dict[str, int | None] = {}
        targets = list(dict.fromkeys(self._target(name) for name in found.class_names))
        targets = [name for name in targets if name not in (BACKGROUND, IGNORE)]
        self.class_names = tuple(targets if class_names is None else class_names)
        unknown = sorted(set(targets) - set(self.class_names))
        if unknown:
            raise DatasetError(
                f'{found.where}: unknown categories {", ".join(unknown)}; expected some of '
                f'{", ".join(self.class_names)}, or an entry for each in class_map'
            )

    def __getitem__(self, name: str) -> int | None:
        """Return the label of a class, -1 for a region of any class, None for background.

        Raises:
            KeyError: if the data set should not hold a class of this spelling.
        """
        if name not in self._labels:
            self._labels[name] = self._label(name)
        return self._labels[name]

    def _label(self, name: str) -> int | None:
        known = snake_case(name)
        if known not in self._known and not any(known in m for m in self._maps):
            raise KeyError(name)
        target = self._target(name)
        if target == BACKGROUND:
            return None
        return self.class_names.index(target) if target in self.class_names else ANY_CLASS

    def _target(self, name: str) -> str:
        known = snake_case(name)
        default, override = self._maps
        if known in override:
            return override[known]
        merged = default.get(known, known)
        return override.get(merged, merged)


def make_record(
    item: Item, image_id: int, labels: LabelMap, layout: Layout, crop_px: int
) -> tuple[Record, list[Problem]]:
    """Turn what a reader found into a record.

    An object of an unknown class becomes an ignore region: it is something, but nobody can say
    that finding it is wrong.
    """
    real: list[tuple[Thing, int]] = []
    ignored: list[tuple[Thing, int]] = []
    strange: list[Thing] = []
    for thing in item.things:
        try:
            label = labels[thing.name]
        except KeyError:
            strange.append(thing)
            label = ANY_CLASS
        if label is not None:
            (ignored if thing.ignore or label == ANY_CLASS else real).append((thing, label))
    regions, region_labels = _merge(ignored, crop_px, len(labels.class_names))
    record = Record(
        image_id,
        item.name,
        _cropped(item.thermal, crop_px),
        _cropped(item.rgb, crop_px),
        _boxes([t for t, _ in real], crop_px),
        np.array([n for _, n in real], np.int64),
        regions,
        region_labels,
        _oriented([t for t, _ in real], crop_px) if layout.oriented else None,
        _cropped(item.mask, crop_px),
        item.attributes,
    )
    detail = 'found {!r}, taken as a region without a verdict'
    problems = [Problem(record.path, 'unknown class', detail.format(t.name)) for t in strange]
    return record, problems


def _cropped(picture: Picture | None, crop_px: int) -> Picture | None:
    return replace(picture, crop_px=crop_px) if picture and crop_px else picture


def _boxes(things: Sequence[Thing], crop_px: int) -> NDArray[np.float32]:
    return np.array([t.box_xyxy for t in things], np.float32).reshape(-1, 4) - crop_px


def _oriented(things: Sequence[Thing], crop_px: int) -> NDArray[np.float32]:
    boxes = np.array([box_of_corners(t.corners_xy or _corners(t)) for t in things], np.float32)
    boxes = boxes.reshape(-1, 5)
    boxes[:, :2] -= crop_px
    return boxes


def _corners(thing: Thing) -> tuple[float, ...]:
    x1, y1, x2, y2 = thing.box_xyxy
    return (x1, y1, x2, y1, x2, y2, x1, y2)


def _merge(
    ignored: Sequence[tuple[Thing, int]], crop_px: int, classes: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Join regions that a data set repeats for every class, as COCO has no region of any class."""
    regions: dict[tuple[float, ...], set[int]] = {}
    for thing, label in ignored:
        regions.setdefault(thing.box_xyxy, set()).add(label)
    rows = [
        (box, label)
        for box, labels in regions.items()
        for label in ([ANY_CLASS] if ANY_CLASS in labels or len(labels) == classes else labels)
    ]
    boxes = np.array([box for box, _ in rows], np.float32).reshape(-1, 4) - crop_px
    return boxes, np.array([label for _, label in rows], np.int64)
