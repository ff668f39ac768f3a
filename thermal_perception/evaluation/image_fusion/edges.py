"""How much of the sources' edges the fused image keeps, and how much it makes up.

Xydeas and Petrovic, Objective Image Fusion Performance Measure, Electronics Letters 36(4), 2000.
The figure for what is made up is ours.
"""

from __future__ import annotations

from typing import NamedTuple, TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Height, slope and middle of the two sigmoids: kept strength and kept direction.
_STRENGTH = (0.9994, -15.0, 0.5)
_DIRECTION = (0.9879, -22.0, 0.8)
_HALO_SIZES = 5


class Edges(NamedTuple):
    """Edges of an image, (H, W) each.

    Attributes:
        strength: length of the gradient.
        angle: its direction in -pi/2..pi/2, opposite directions alike.
    """

    strength: NDArray[np.float64]
    angle: NDArray[np.float64]


def find_edges(image: NDArray[np.float64]) -> Edges:
    """Find edges by 3x3 Sobel filters with zeros around the image."""
    dx, dy = (
        cv2.Sobel(image, cv2.CV_64F, *order, ksize=3, borderType=cv2.BORDER_CONSTANT)
        for order in ((1, 0), (0, 1))
    )
    upright = np.full(image.shape, np.pi / 2)
    slope = np.divide(dy, dx, out=np.zeros_like(dx), where=dx != 0)
    return Edges(np.hypot(dx, dy), np.where(dx != 0, np.arctan(slope), upright))


def edge_preservation(source: Edges, fused: Edges) -> NDArray[np.float64]:
    """Return how well each edge pixel of a source is kept, (H, W) in 0..1."""
    weaker = np.minimum(source.strength, fused.strength)
    stronger = np.maximum(source.strength, fused.strength)
    strength = np.divide(weaker, stronger, out=np.zeros_like(weaker), where=stronger > 0)
    direction = 1 - np.abs(source.angle - fused.angle) / (np.pi / 2)
    return _sigmoid(strength, *_STRENGTH) * _sigmoid(direction, *_DIRECTION)


def qabf(
    first: NDArray[np.float64], second: NDArray[np.float64], fused: NDArray[np.float64]
) -> tuple[float, float]:
    """Return Qabf of sources and fused image (H, W), and its value without the border.

    The zeros around the images make edges of their own along the border, which every fused image
    keeps; the second value leaves the outermost pixels out. NaN where no source has any edge.
    """
    edges = find_edges(fused)
    kept = weight = np.zeros_like(fused)
    for source in map(find_edges, (first, second)):
        kept = kept + edge_preservation(source, edges) * source.strength
        weight = weight + source.strength
    inner = slice(1, -1)
    return _share(kept, weight), _share(kept[inner, inner], weight[inner, inner])


def halo(
    first: NDArray[np.float64], second: NDArray[np.float64], fused: NDArray[np.float64]
) -> float:
    """Return the slopes of the fused image that no source has, mean over pixels and five sizes.

    Along each axis a slope may lie between nothing and either source's; what is beyond is made up:
    seams, and rings around lamps. They are soft, so that slopes are taken in the images and in
    their halves down to a sixteenth, by 3x3 Sobel filters, in grey levels per pixel of that size.
    """
    images, found = [first, second, fused], []
    for size in range(_HALO_SIZES):
        if size:
            images = [_halved(image) for image in images]
        if min(fused.shape) >> size < 3:
            break
        beyond = (_beyond([_slope(image, axis) for image in images]) for axis in (0, 1))
        found.append(sum(float(part.mean()) for part in beyond))
    return sum(found) / len(found) if found else float('nan')


def _slope(image: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Return slopes along rows (0) or columns (1) where the filter fits."""
    order = (1, 0) if axis else (0, 1)
    slope = cv2.Sobel(image, cv2.CV_64F, *order, ksize=3, scale=1 / 8)
    return np.asarray(slope[1:-1, 1:-1], np.float64)


def _beyond(slopes: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return how far the last is from the span of nothing and the others."""
    first, second, fused = slopes
    low, high = np.minimum(first, second).clip(max=0), np.maximum(first, second).clip(min=0)
    return np.maximum(fused - high, 0) + np.maximum(low - fused, 0)


def _halved(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return means of 2x2 pixels; what is left over at the end is left out."""
    height, width = (side // 2 * 2 for side in image.shape)
    even = image[:height, :width].reshape(height // 2, 2, width // 2, 2)
    return np.asarray(even.mean((1, 3)), np.float64)


def _share(kept: NDArray[np.float64], weight: NDArray[np.float64]) -> float:
    total = float(weight.sum())
    return float(kept.sum()) / total if total > 0 else float('nan')


def _sigmoid(
    x: NDArray[np.float64], height: float, slope: float, middle: float
) -> NDArray[np.float64]:
    return height / (1 + np.exp(slope * (x - middle)))
