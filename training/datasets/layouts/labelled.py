"""Joining images with label files, one per image."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from training.datasets.layouts.voc import LabelError
from training.datasets.record import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from training.datasets.layouts.found import Found, Thing


def with_labels(
    found: Found,
    path_of: Callable[[str], Path],
    read: Callable[[Path], tuple[Thing, ...]],
    class_names: Sequence[str],
) -> Found:
    """Add objects to images; an image whose label file is missing or broken is left out.

    Args:
        found: images without objects.
        path_of: gives the label file of an image by the image's name.
        read: reads a label file; raises LabelError if it cannot be understood.
        class_names: the classes of the data set.
    """
    items, problems = [], list(found.problems)
    for item in found.items:
        path = path_of(item.name)
        try:
            items.append(replace(item, things=read(path)))
        except OSError as error:
            problems.append(Problem(path, 'label missing', f'cannot be read: {error.strerror}'))
        except (LabelError, UnicodeDecodeError) as error:
            problems.append(Problem(path, 'broken label', str(error)))
    return replace(
        found, items=tuple(items), problems=tuple(problems), class_names=tuple(class_names)
    )
