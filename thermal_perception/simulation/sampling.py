"""From primitive numbers to values per pixel, shared by the thermal and the colour camera."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np

from thermal_perception.simulation.shapes import OPACITY, TEXTURE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thermal_perception.simulation.raster import Projected

TILE = 256


def look_up(
    table: NDArray[np.float32], numbers: NDArray[np.uint16], size: tuple[int, int], scale: int
) -> list[NDArray[np.float32]]:
    """Look up values per fine pixel and average them over each camera pixel.

    Args:
        table: (N, C) float32.
        numbers: (H * scale, W * scale) rows of the table.
        size: (H, W).
        scale: fine pixels per camera pixel and axis.

    Returns:
        C planes (H, W) float32.
    """
    planes = [gather(column, numbers) for column in table.T]
    if scale > 1:
        area = cv2.INTER_AREA
        planes = [np.asarray(cv2.resize(p, size[::-1], interpolation=area)) for p in planes]
    return planes


def gather(table: NDArray[np.float32], numbers: NDArray[np.uint16]) -> NDArray[np.float32]:
    """`table[numbers]`, four times faster where OpenCV looks up 16-bit numbers (5.0 does)."""
    if not _opencv_takes_16_bit():
        return np.asarray(table[numbers], np.float32)
    whole = np.zeros(1 << 16, np.float32)
    whole[: len(table)] = table
    return np.asarray(cv2.LUT(numbers, whole), np.float32)


@lru_cache(maxsize=1)
def _opencv_takes_16_bit() -> bool:
    table = np.arange(1 << 16, dtype=np.float32)
    numbers = np.array([[0, 1, 40000]], np.uint16)
    try:
        return bool((cv2.LUT(numbers, table) == numbers).all())
    except cv2.error:
        return False


def surface_texture(
    projected: Projected, numbers: NDArray[np.uint16], scale: int, *, extinction_per_m: float
) -> NDArray[np.float32]:
    """(H, W) kelvin: a pattern that hangs on each surface, moves with it, and fades in fog."""
    centre = np.ascontiguousarray(numbers[scale // 2 :: scale, scale // 2 :: scale])
    height, width = centre.shape
    clear = np.exp(-extinction_per_m * projected.depths)
    solid = projected.surfaces[:, OPACITY] > 0
    amplitude = np.r_[0.0, projected.surfaces[:, TEXTURE] * solid * clear].astype(np.float32)
    at = np.mod(projected.low, TILE).astype(np.int32)
    anchors = at[:, 1] * TILE + at[:, 0] + 7919 * projected.owners
    # Whole numbers below 2^24 survive as float32.
    anchors = np.r_[0, np.mod(anchors, TILE * TILE)].astype(np.float32)
    where = np.arange(height, dtype=np.int32)[:, None] * TILE + np.arange(width, dtype=np.int32)
    where -= gather(anchors, centre).astype(np.int32)
    pattern = _tile().ravel()[np.bitwise_and(where, TILE * TILE - 1)]
    pattern *= gather(amplitude, centre)
    return np.asarray(pattern, np.float32)


@lru_cache(maxsize=1)
def _tile() -> NDArray[np.float32]:
    """Coarse and fine noise of about 1 RMS that repeats every 256 pixels."""
    big = np.random.default_rng(20).standard_normal((TILE, TILE), np.float32)
    wide, fine = (
        cv2.GaussianBlur(np.tile(noise, (3, 3)), (0, 0), sigma)[TILE:-TILE, TILE:-TILE]
        for noise, sigma in ((big, 2.5), (big[::-1], 0.8))
    )
    return np.asarray(wide / wide.std() * 0.75 + fine / fine.std() * 0.5, np.float32)
