"""What a reader hands over: the images it found, with their objects under the set's own names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from training.datasets.config import DatasetConfig
from training.datasets.record import Attributes, NO_ATTRIBUTES

if TYPE_CHECKING:
    from training.datasets.pictures import Picture
    from training.datasets.record import Problem

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Thing:
    """One labelled object or region.

    Attributes:
        name: class as the data set spells it.
        box_xyxy: upright box in pixels of the whole leading image.
        corners_xy: four corners x1, y1 .. x4, y4 of an oriented box.
        ignore: whether detections there are neither right nor wrong.
    """

    name: str
    box_xyxy: Box
    corners_xy: tuple[float, ...] | None = None
    ignore: bool = False


@dataclass(frozen=True)
class Item:
    """One image or pair of images.

    Attributes:
        name: name that is unique within the split.
        thermal: thermal image, if there is one.
        rgb: colour image, if there is one.
        things: objects and regions.
        mask: label image.
        attributes: what name and notes tell.
        image_id: number the data set gives it; None to count from 1.
    """

    name: str
    thermal: Picture | None = None
    rgb: Picture | None = None
    things: tuple[Thing, ...] = ()
    mask: Picture | None = None
    attributes: Attributes = NO_ATTRIBUTES
    image_id: int | None = None


@dataclass(frozen=True)
class Found:
    """Everything a reader found.

    Attributes:
        where: file or folder the listing comes from, for messages.
        items: the images, in the data set's order.
        problems: labels and images that could not be used.
        class_names: every class the data set can hold, as it spells them.
    """

    where: Path
    items: tuple[Item, ...]
    problems: tuple[Problem, ...] = ()
    class_names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Layout:
    """How a kind of data set lies on disk.

    Attributes:
        read: finds the images of the split that a configuration names in a folder.
        tree: what the folder must hold, for messages.
        default_split: what `inspect` shows if no split is named.
        class_map: spellings to lower-snake-case classes; see `DatasetConfig.class_map`.
        oriented: whether objects have oriented boxes.
        labelled: whether objects are named at all; if not, an image without is not known to be
            empty.
        mask_names: class names by id, where the set has label images.
        mask_colours: R, G, B of each of them, as its authors paint them.
    """

    read: Callable[[Path, DatasetConfig], Found]
    tree: str
    default_split: str | None = 'train'
    class_map: dict[str, str] = field(default_factory=dict)
    oriented: bool = False
    labelled: bool = True
    mask_names: tuple[str, ...] = ()
    mask_colours: tuple[tuple[int, int, int], ...] = ()
