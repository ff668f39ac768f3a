"""COCO layout, as of HIT-UAV in JSON and of anything converted to COCO."""

from __future__ import annotations

from dataclasses import replace
import math
from typing import Any, TYPE_CHECKING

from thermal_perception.evaluation.coco import is_ignored, read_annotations, snake_case
from thermal_perception.evaluation.image_names import attributes_of, light_of
from training.datasets.layouts.found import Found, Item, Layout, Thing
from training.datasets.pictures import Picture
from training.datasets.record import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from training.datasets.config import DatasetConfig

TREE = 'images/SPLIT/* and annotations/SPLIT.json'


def read(directory: Path, config: DatasetConfig) -> Found:
    """Read `images/SPLIT` and `annotations/SPLIT.json`, boxes as `[x, y, width, height]`.

    Source: cocodataset.org, "Data format"; for HIT-UAV the notes beside its converted copy.
    """
    path = directory / 'annotations' / f'{config.split}.json'
    folder = directory / 'images' / str(config.split)
    return read_coco(path, lambda name: {'thermal': Picture(folder / name, 'thermal')})


def read_coco(path: Path, pictures: Callable[[str], dict[str, Picture]]) -> Found:
    """Read one COCO file.

    Args:
        path: the annotation file.
        pictures: gives the pictures of an image by its `file_name`, keyed `thermal`, `rgb` and
            `mask`, leading one first.

    Raises:
        DatasetError: if the file is missing or is not COCO.
    """
    content = read_annotations(path)
    names = {c['id']: str(c['name']) for c in content['categories']}
    things: dict[Any, list[Thing]] = {i['id']: [] for i in content['images']}
    problems = []
    for annotation in content['annotations']:
        try:
            things[annotation['image_id']].append(_thing(annotation, names))
        except (KeyError, TypeError, ValueError) as error:
            problems.append(_broken(path, annotation, error))
    items = tuple(_item(i, tuple(things[i['id']]), pictures) for i in content['images'])
    return Found(path, items, tuple(problems), tuple(names.values()))


def used_classes(found: Found) -> tuple[str, ...]:
    """Return the classes that objects have, where a file declares many more."""
    used = set(map(snake_case, {t.name for item in found.items for t in item.things}))
    return tuple(name for name in found.class_names if snake_case(name) in used)


def _thing(annotation: Mapping[str, Any], names: Mapping[Any, str]) -> Thing:
    x, y, width, height = map(float, annotation['bbox'])
    box = x, y, x + width, y + height
    if not all(map(math.isfinite, box)):
        raise ValueError(f'bbox {annotation["bbox"]}')
    return Thing(names[annotation['category_id']], box, ignore=is_ignored(annotation))


def _item(
    image: Mapping[str, Any],
    things: tuple[Thing, ...],
    pictures: Callable[[str], dict[str, Picture]],
) -> Item:
    found = pictures(image['file_name'])
    name = next(iter(found.values())).path.stem
    attributes = attributes_of(name)
    if attributes.light is None:  # FLIR ADAS v2 notes the hours of some images
        light = light_of((image.get('extra_info') or {}).get('hours'))
        attributes = replace(attributes, light=light)
    return Item(name, **found, things=things, attributes=attributes, image_id=image['id'])


def _broken(path: Path, annotation: Any, error: Exception) -> Problem:
    which = annotation.get('id', '?') if isinstance(annotation, dict) else '?'
    detail = f'annotation {which}: {type(error).__name__} {error}; expected image_id, category_id'
    return Problem(path, 'broken label', f'{detail} of the file and bbox of four numbers')


LAYOUT = Layout(read, TREE)
