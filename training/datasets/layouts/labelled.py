"""Joining images with label files, one per image."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from training.datasets.layouts.voc import LabelError
from training.datasets.record import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from training.datasets.layouts.found import Found, Thing


def with_labels(
    found: Found, things: Callable[[str], tuple[Thing, ...]], class_names: Sequence[str]
) -> Found:
    """Add objects to images; an image whose label file is missing or broken is left out.

    Args:
        found: images without objects.
        things: reads the objects of an image by its name; raises FileNotFoundError or LabelError.
        class_names: the classes of the data set.
    """
    items, problems = [], list(found.problems)
    for item in found.items:
        try:
            items.append(replace(item, things=things(item.name)))
        except FileNotFoundError as error:
            path = Path(str(error.filename))
            problems.append(Problem(path, 'label missing', f'the image {item.name} has none'))
        except (LabelError, UnicodeDecodeError) as error:
            problems.append(Problem(found.where / item.name, 'broken label', str(error)))
    return replace(
        found, items=tuple(items), problems=tuple(problems), class_names=tuple(class_names)
    )
