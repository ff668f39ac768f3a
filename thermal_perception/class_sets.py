"""Classes of label images: names, colours, and which of them are things that can be counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

Rgb = tuple[int, int, int]


@dataclass(frozen=True)
class ClassSet:
    """The classes of a data set with label images.

    Attributes:
        names: lower-case names by id.
        colours: R, G, B of each, as the data set's authors paint them.
    """

    names: tuple[str, ...]
    colours: tuple[Rgb, ...]


MFNET = ClassSet(
    (
        'unlabeled',
        'car',
        'person',
        'bike',
        'curve',
        'car_stop',
        'guardrail',
        'color_cone',
        'bump',
    ),
    (
        (0, 0, 0),
        (64, 0, 128),
        (64, 64, 0),
        (0, 128, 192),
        (0, 0, 192),
        (128, 128, 0),
        (64, 64, 128),
        (192, 128, 128),
        (192, 64, 0),
    ),
)
"""Source: code of MFNet (Ha et al., IROS 2017)."""

PST900 = ClassSet(
    ('background', 'fire_extinguisher', 'backpack', 'hand_drill', 'rescue_randy'),
    ((0, 0, 0), (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)),
)
"""Source: toolkit of PST900 (Shivakumar et al., arXiv 1909.10980)."""

BACKGROUND = frozenset({'unlabeled', 'unlabelled', 'background'})
"""Names of the class of whatever is none of the others."""

COUNTABLE = frozenset(
    {'person', 'car', 'bike', 'bicycle', 'other_vehicle', 'car_stop', 'color_cone', 'bump'}
    | set(PST900.names[1:])
)
"""Names of classes whose connected regions are objects; kerbs and guardrails are none."""

_BRIGHTEST = 255

# Far apart in hue, bright enough to show on a dark image; for classes of no known set.
_OTHERS: tuple[Rgb, ...] = (
    (255, 133, 66),
    (0, 196, 255),
    (77, 230, 97),
    (255, 92, 214),
    (255, 230, 0),
    (112, 112, 255),
    (0, 255, 180),
    (255, 90, 90),
)


def colours_of(class_names: Sequence[str]) -> tuple[Rgb, ...]:
    """Return R, G, B of every class.

    They are those of the data set with just these classes; of any other classes, background is
    black and the others get bright colours, which repeat after eight.
    """
    for known in (MFNET, PST900):
        if tuple(class_names) == known.names:
            return known.colours
    return tuple(
        (0, 0, 0) if name in BACKGROUND else _OTHERS[label % len(_OTHERS)]
        for label, name in enumerate(class_names)
    )


def bright_colours_of(class_names: Sequence[str]) -> tuple[Rgb, ...]:
    """Return the colours of `colours_of` such that all of them show on a dark image.

    Some colours of data sets are nearly black. Each component c of 0..1 becomes its square root.
    """
    return tuple(
        (_lifted(red), _lifted(green), _lifted(blue))
        for red, green, blue in colours_of(class_names)
    )


def _lifted(component: int) -> int:
    return round((component * _BRIGHTEST) ** 0.5)


def countable_labels(class_names: Sequence[str]) -> tuple[int, ...]:
    """Return the labels whose connected regions are objects."""
    return tuple(label for label, name in enumerate(class_names) if name in COUNTABLE)


def background_label(class_names: Sequence[str]) -> int | None:
    """Return the label of whatever is none of the classes; None if there is no such label."""
    return next((label for label, name in enumerate(class_names) if name in BACKGROUND), None)
