"""Pascal VOC XML labels, read with the standard library."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree

from training.datasets.layouts.found import Thing

if TYPE_CHECKING:
    from pathlib import Path

CORNERS = ('xmin', 'ymin', 'xmax', 'ymax')
POLYGON = ('x1', 'y1', 'x2', 'y2', 'x3', 'y3', 'x4', 'y4')


class LabelError(ValueError):
    """A label file that cannot be understood."""


def parse(path: Path) -> ElementTree.Element:
    """Parse an XML file.

    Raises:
        LabelError: if it is not XML. A missing file stays an OSError.
    """
    try:
        return ElementTree.fromstring(path.read_bytes())
    except ElementTree.ParseError as error:
        raise LabelError(f'is not XML: {error}') from error


def read_objects(path: Path) -> tuple[Thing, ...]:
    """Read `object` elements with `name` and `bndbox` corners, as numbered in the file.

    Objects marked `difficult` become ignore regions, as VOC's own evaluation has it.

    Raises:
        LabelError: if the file is not XML or an object lacks a name or a number.
    """
    return tuple(_object(element) for element in parse(path).iter('object'))


def name_of(element: ElementTree.Element) -> str:
    """Return the class of an `object`.

    Raises:
        LabelError: if it has none.
    """
    name = (element.findtext('name') or '').strip()
    if not name:
        raise LabelError('found an object without a name')
    return name


def numbers(element: ElementTree.Element | None, tags: tuple[str, ...]) -> tuple[float, ...]:
    """Return the numbers of some children.

    Raises:
        LabelError: if one is missing or no number.
    """
    texts = [element.findtext(tag) if element is not None else None for tag in tags]
    try:
        return tuple(float(text) for text in texts)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise LabelError(f'found {texts} for {", ".join(tags)}, expected numbers') from error


def _object(element: ElementTree.Element) -> Thing:
    name = name_of(element)
    x1, y1, x2, y2 = numbers(element.find('bndbox'), CORNERS)
    difficult = (element.findtext('difficult') or '0').strip() == '1'
    return Thing(name, (x1, y1, x2, y2), ignore=difficult)
