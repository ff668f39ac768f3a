"""Samples made of several images: mosaics of four, and objects pasted in.

Source: Bochkovskiy et al., YOLOv4, arXiv 2004.10934, for mosaics; Ghiasi et al., simple
copy-paste, arXiv 2012.07177, here with soft edges because there are no masks.
"""

from __future__ import annotations

from typing import NamedTuple, TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MIDDLE = (0.3, 0.7)  # where the four images of a mosaic may meet
_TRIES = 8


class Quadrant(NamedTuple):
    """A part of a mosaic, pixels."""

    x: int
    y: int
    size: tuple[int, int]


def quadrants(size: tuple[int, int], rng: np.random.Generator) -> list[Quadrant]:
    """Divide a sample of (height, width) at a random point into four."""
    height, width = size
    y, x = (round(side * rng.uniform(*_MIDDLE)) for side in (height, width))
    return [
        Quadrant(0, 0, (y, x)),
        Quadrant(x, 0, (y, width - x)),
        Quadrant(0, y, (height - y, x)),
        Quadrant(x, y, (height - y, width - x)),
    ]


class Patch(NamedTuple):
    """An object cut out with some of its surroundings.

    Attributes:
        image: (h, w) float32 in 0..1.
        margin_px: surroundings on every side.
    """

    image: NDArray[np.float32]
    margin_px: int


def cut_object(
    image: NDArray[np.float32],
    boxes_xyxy_px: NDArray[np.float32],
    index: int,
    zoom: float,
    *,
    least_px: float = 6.0,
) -> Patch | None:
    """Cut an object out of an image (H, W) and scale it.

    Returns:
        None if its surroundings leave the image or hold a part of another object, or if it would
        be smaller than `least_px`.
    """
    x1, y1, x2, y2 = boxes_xyxy_px[index]
    margin = max(2.0, 0.15 * float(max(x2 - x1, y2 - y1)))
    outer = np.array([x1 - margin, y1 - margin, x2 + margin, y2 + margin])
    others = np.delete(boxes_xyxy_px, index, axis=0)
    if (outer[:2] < 0).any() or (outer[2:] > image.shape[1::-1]).any() or _touches(outer, others):
        return None
    left, top, right, bottom = outer.round().astype(int)
    part = image[top:bottom, left:right]
    width, height = (max(1, round(side * zoom)) for side in part.shape[1::-1])
    edge = round(margin * zoom)
    if min(width, height) - 2 * edge < least_px:
        return None
    scaled = cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA)
    return Patch(np.asarray(scaled, np.float32), edge)


def paste_object(
    image: NDArray[np.float32],
    boxes_xyxy_px: NDArray[np.float32],
    patch: Patch,
    rng: np.random.Generator,
) -> NDArray[np.float32] | None:
    """Paste an object into a free place of an image (H, W), in place.

    The patch is brought to the level of its new surroundings and fades out over its margin.

    Returns:
        (4,) its box; None if no free place was found, and nothing was changed.
    """
    height, width = patch.image.shape
    if height >= image.shape[0] or width >= image.shape[1]:
        return None
    for _ in range(_TRIES):
        y = int(rng.integers(image.shape[0] - height))
        x = int(rng.integers(image.shape[1] - width))
        if not _touches(np.array([x, y, x + width, y + height]), boxes_xyxy_px):
            break
    else:
        return None
    place = image[y : y + height, x : x + width]
    edge = patch.margin_px
    level = np.median(_rim(place, edge)) - np.median(_rim(patch.image, edge))
    share = _fading(patch)
    place += share * (patch.image + level - place)
    np.clip(place, 0, 1, out=place)
    return np.array([x + edge, y + edge, x + width - edge, y + height - edge], np.float32)


def _fading(patch: Patch) -> NDArray[np.float32]:
    """1 on the object, falling to 0 over the margin."""
    height, width = patch.image.shape
    steps = [
        np.minimum(np.arange(side) + 0.5, side - np.arange(side) - 0.5) / max(patch.margin_px, 1)
        for side in (height, width)
    ]
    rows, columns = (np.minimum(step, 1.0) for step in steps)
    return np.minimum(rows[:, None], columns[None]).astype(np.float32)


def _rim(image: NDArray[np.float32], width_px: int) -> NDArray[np.float32]:
    width_px = max(width_px, 1)
    inner = np.ones(image.shape, np.bool_)
    inner[width_px:-width_px, width_px:-width_px] = False
    return image[inner]


def _touches(box: NDArray[np.floating], others: NDArray[np.float32]) -> bool:
    return bool(((others[:, :2] < box[2:]) & (others[:, 2:] > box[:2])).all(1).any())
