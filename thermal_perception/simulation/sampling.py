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
    table: NDArray[np.float32], numbers: NDArray[np.int32], size: tuple[int, int], scale: int
) -> NDArray[np.float32]:
    """Look up rows of values per fine pixel and average them over each camera pixel.

    Args:
        table: (N, 2) or (N, 4) float32.
        numbers: (H * scale, W * scale) rows of the table.
        size: (H, W).
        scale: fine pixels per camera pixel and axis.

    Returns:
        (H, W, 2 or 4) float32.
    """
    columns = table.shape[1]
    # One gather of a whole row as a complex number instead of one per column.
    rows = np.ascontiguousarray(table).view(np.complex64 if columns == 2 else np.complex128)
    fine = rows[:, 0][numbers].view(np.float32).reshape(*numbers.shape, columns)
    if scale == 1:
        return fine
    return np.asarray(cv2.resize(fine, size[::-1], interpolation=cv2.INTER_AREA), np.float32)


def surface_texture(
    projected: Projected, numbers: NDArray[np.int32], scale: int, *, extinction_per_m: float
) -> NDArray[np.float32]:
    """(H, W) kelvin: a pattern that hangs on each surface, moves with it, and fades in fog."""
    centre = numbers[scale // 2 :: scale, scale // 2 :: scale]
    height, width = centre.shape
    table = np.zeros((len(projected.surfaces) + 1, 2), np.float32)  # amplitude, anchor
    clear = np.exp(-extinction_per_m * projected.depths)
    table[1:, 0] = projected.surfaces[:, TEXTURE] * (projected.surfaces[:, OPACITY] > 0) * clear
    at = np.mod(projected.low, TILE).astype(np.int32)
    anchors = at[:, 1] * TILE + at[:, 0] + 7919 * projected.owners
    table[1:, 1] = anchors.astype(np.int32).view(np.float32)
    values = table.view(np.complex64)[:, 0][centre].view(np.float32).reshape(height, width, 2)
    where = np.arange(height, dtype=np.int32)[:, None] * TILE + np.arange(width, dtype=np.int32)
    where -= values[:, :, 1].view(np.int32)
    where = np.bitwise_and(where, TILE * TILE - 1)
    return np.asarray(values[:, :, 0] * _tile().ravel()[where], np.float32)


@lru_cache(maxsize=1)
def _tile() -> NDArray[np.float32]:
    """Coarse and fine noise of about 1 RMS that repeats every 256 pixels."""
    big = np.random.default_rng(20).standard_normal((TILE, TILE), np.float32)
    wide, fine = (
        cv2.GaussianBlur(np.tile(noise, (3, 3)), (0, 0), sigma)[TILE:-TILE, TILE:-TILE]
        for noise, sigma in ((big, 2.5), (big[::-1], 0.8))
    )
    return np.asarray(wide / wide.std() * 0.75 + fine / fine.std() * 0.5, np.float32)
