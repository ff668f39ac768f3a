"""A contact sheet: images of a data set side by side, with their labels drawn."""

from __future__ import annotations

from typing import Any, TYPE_CHECKING

import cv2
import numpy as np

from training.datasets.checks import UNKNOWN_ID
from training.datasets.oriented import corners_of_boxes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from training.datasets.record import Record
    from training.samples import Sample

    Image = NDArray[Any]
    Colour = tuple[int, int, int]

CELL = (256, 320)
"""Largest height and the width of one picture on the sheet, pixels."""

_SHEET_WIDTH = 1950  # of training samples, pixels
_CAPTION, _GAP, _HEADER = 18, 6, 30
_PAPER, _INK, _REGION = (24, 24, 24), (225, 225, 225), (150, 150, 150)
_FONT, _FONT_SCALE = cv2.FONT_HERSHEY_SIMPLEX, 0.4
# Okabe and Ito's colours, which colour-blind people tell apart; B, G, R.
_COLOURS: tuple[Colour, ...] = (
    (0, 159, 230),
    (233, 180, 86),
    (115, 158, 0),
    (66, 228, 240),
    (0, 94, 213),
    (167, 121, 204),
    (178, 114, 0),
    (255, 255, 255),
)


def contact_sheet(
    records: Sequence[Record],
    class_names: Sequence[str],
    mask_names: Sequence[str] = (),
    mask_colours: Sequence[Colour] = (),
    *,
    columns: int = 6,
) -> Image:
    """Draw records in a grid, pairs with the thermal image left and the colour image right.

    Args:
        records: what to draw; their pictures must be readable.
        class_names: names by label, for the legend.
        mask_names: class names of label images by id.
        mask_colours: R, G, B by id.
        columns: pictures per row.

    Returns:
        (H, W, 3) uint8 in B, G, R order.
    """
    tiles = [_tile(record, mask_colours) for record in records]
    names = _coloured(class_names)
    names += [(n, (c[2], c[1], c[0])) for n, c in zip(mask_names, mask_colours)]
    return _arranged(tiles, names, columns * (CELL[1] + _GAP))


def sample_sheet(
    samples: Sequence[Sample], captions: Sequence[str], class_names: Sequence[str]
) -> Image:
    """Draw training samples in a grid, pixel for pixel, the colour image right of the thermal one.

    Args:
        samples: what to draw.
        captions: what to write below each.
        class_names: names by label, for the legend.

    Returns:
        (H, W, 3) uint8 in B, G, R order.
    """
    tiles = [_sample_tile(*shown) for shown in zip(samples, captions)]
    width = max(tile.shape[1] for tile in tiles)
    tiles = [_widened(tile, width) for tile in tiles]
    return _arranged(tiles, _coloured(class_names), _SHEET_WIDTH)


def choose(records: Sequence[Record], count: int) -> list[Record]:
    """Choose records spread over the data set, the rarest classes among them.

    Returns:
        At most `count` records in the data set's order.
    """
    if len(records) <= count:
        return list(records)
    picked = dict.fromkeys(_richest_per_class(records)[: count // 3])
    spread = np.linspace(0, len(records) - 1, count).round().astype(int)
    for index in spread:
        if len(picked) < count:
            picked.setdefault(int(index), None)
    return [records[i] for i in sorted(picked)]


def colour_of(label: int) -> Colour:
    """Return the B, G, R colour of a class; there are eight, which then repeat."""
    return _COLOURS[label % len(_COLOURS)]


def to_grey(image: NDArray[Any]) -> Image:
    """Stretch 16-bit values between their 1st and 99th percentile to 8 bits."""
    if image.dtype == np.uint8:
        return image
    low, high = np.percentile(image, (1, 99))
    scaled = (image.astype(np.float32) - low) * (255 / max(high - low, 1))
    return scaled.clip(0, 255).astype(np.uint8)


def _richest_per_class(records: Sequence[Record]) -> list[int]:
    """Return the image with most objects of each class, rarest class first."""
    labels = [r.labels for r in records]
    classes = max((int(x.max()) + 1 for x in labels if len(x)), default=0)
    counts = np.array([np.bincount(x, minlength=classes) for x in labels])
    total = counts.sum(0)
    return [int(counts[:, c].argmax()) for c in np.argsort(total) if total[c]]


def _coloured(class_names: Sequence[str]) -> list[tuple[str, Colour]]:
    return [(name, colour_of(label)) for label, name in enumerate(class_names)]


def _arranged(tiles: Sequence[Image], names: Sequence[tuple[str, Colour]], width_px: int) -> Image:
    """Lay tiles of one width out in rows below a legend."""
    per_row = max(1, width_px // (tiles[0].shape[1] + _GAP))
    rows = [_row(tiles[i : i + per_row], per_row) for i in range(0, len(tiles), per_row)]
    return np.concatenate([_legend(names, rows[0].shape[1]), *rows] if names else rows)


def _sample_tile(sample: Sample, caption: str) -> Image:
    images = [cv2.cvtColor(_to_bytes(sample.thermal), cv2.COLOR_GRAY2BGR)]
    if sample.rgb is not None:
        images.append(np.ascontiguousarray(_to_bytes(sample.rgb)[..., ::-1]))
    for image in images:
        _draw_outlines(image, sample.labels, _box_corners(sample.boxes_xyxy_px), 1.0)
    joined = np.concatenate(_spaced(images, axis=1), axis=1)
    return np.concatenate([joined, _text_line(caption, joined.shape[1], _CAPTION)])


def _to_bytes(image: NDArray[np.float32]) -> Image:
    return (image * 255).round().clip(0, 255).astype(np.uint8)


def _tile(record: Record, mask_colours: Sequence[Colour]) -> Image:
    pictures = [p for p in (record.thermal, record.rgb) if p is not None]
    cells = []
    for picture in pictures:
        image = picture.read()
        shown = cv2.cvtColor(to_grey(image), cv2.COLOR_GRAY2BGR) if image.ndim == 2 else image
        cells.append(_cell(shown, record if picture is record.leader else None))
    if record.mask is not None:
        cells.append(_cell(_paint(record.mask.read(), mask_colours), None))
    height = max(cell.shape[0] for cell in cells)
    joined = np.concatenate(_spaced([_grown(c, height) for c in cells], axis=1), axis=1)
    caption = _text_line(record.name, joined.shape[1], _CAPTION)
    return np.concatenate([joined, caption])


def _cell(image: Image, record: Record | None) -> Image:
    """Fit an image into a cell and draw the labels of a record on it."""
    height, width = image.shape[:2]
    scale = min(CELL[0] / height, CELL[1] / width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    small = np.ascontiguousarray(cv2.resize(image, size, interpolation=method))
    if record is not None:
        _draw(small, record, scale)
    cell = np.full((size[1], CELL[1], 3), _PAPER, np.uint8)
    left = (CELL[1] - size[0]) // 2
    cell[:, left : left + size[0]] = small
    return cell


def _draw(image: Image, record: Record, scale: float) -> None:
    for box in record.ignore_xyxy_px * scale:
        x1, y1, x2, y2 = box.round().astype(int).tolist()
        cv2.rectangle(image, (x1, y1), (x2, y2), _REGION, 1)
        cv2.line(image, (x1, y1), (x2, y2), _REGION, 1)
        cv2.line(image, (x1, y2), (x2, y1), _REGION, 1)
    _draw_outlines(image, record.labels, _outlines(record), scale)


def _draw_outlines(
    image: Image, labels: NDArray[np.int64], outlines: NDArray[np.float32], scale: float
) -> None:
    for label, outline in zip(labels.tolist(), outlines):
        points = (outline * scale).round().astype(np.int32)
        cv2.polylines(image, [points], True, colour_of(label), 1)


def _outlines(record: Record) -> NDArray[np.float32]:
    """Return the (N, 4, 2) corners of every object."""
    if record.oriented_cxcywha is None:
        return _box_corners(record.boxes_xyxy_px)
    return corners_of_boxes(record.oriented_cxcywha)


def _box_corners(boxes_xyxy_px: NDArray[np.float32]) -> NDArray[np.float32]:
    return boxes_xyxy_px[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2)


def _paint(mask: Image, colours: Sequence[Colour]) -> Image:
    table = np.full((256, 3), _REGION, np.uint8)
    table[: len(colours)] = np.array(colours, np.uint8)[:, ::-1]
    table[UNKNOWN_ID] = _PAPER
    return table[mask]


def _row(tiles: Sequence[Image], per_row: int) -> Image:
    height = max(tile.shape[0] for tile in tiles) + _GAP
    full = [_grown(tile, height) for tile in tiles]
    full += [np.full_like(full[0], _PAPER)] * (per_row - len(tiles))
    return np.concatenate(_spaced(full, axis=1), axis=1)


def _grown(image: Image, height: int) -> Image:
    """Add paper below."""
    paper = np.full((height - image.shape[0], *image.shape[1:]), _PAPER, np.uint8)
    return np.concatenate([image, paper])


def _widened(image: Image, width: int) -> Image:
    """Add paper on the right."""
    paper = np.full((image.shape[0], width - image.shape[1], 3), _PAPER, np.uint8)
    return np.concatenate([image, paper], axis=1)


def _spaced(images: Sequence[Image], axis: int) -> list[Image]:
    shape = list(images[0].shape)
    shape[axis] = _GAP
    gap = np.full(shape, _PAPER, np.uint8)
    return [part for image in images for part in (image, gap)][:-1]


def _legend(names: Sequence[tuple[str, Colour]], width: int) -> Image:
    lines = [np.full((_HEADER, width, 3), _PAPER, np.uint8)]
    x = _GAP
    for name, colour in names:
        length = cv2.getTextSize(name, _FONT, _FONT_SCALE, 1)[0][0]
        if x + length + 40 > width:
            lines.append(np.full((_HEADER, width, 3), _PAPER, np.uint8))
            x = _GAP
        cv2.rectangle(lines[-1], (x, 9), (x + 12, 21), colour, -1)
        cv2.rectangle(lines[-1], (x, 9), (x + 12, 21), _INK, 1)
        cv2.putText(lines[-1], name, (x + 18, 19), _FONT, _FONT_SCALE, _INK, 1, cv2.LINE_AA)
        x += length + 40
    return np.concatenate(lines)


def _text_line(text: str, width: int, height: int) -> Image:
    line = np.full((height, width, 3), _PAPER, np.uint8)
    cv2.putText(line, text, (2, height - 5), _FONT, _FONT_SCALE, _INK, 1, cv2.LINE_AA)
    return line
