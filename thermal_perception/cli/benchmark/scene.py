"""The images every part of the benchmark works on."""

from __future__ import annotations

from typing import Any, TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIZE = (512, 640)
"""Height and width of the thermal images unless asked otherwise, pixels."""

FRAME_ID = 'thermal_camera_optical'


def thermal_counts(number: int, size: tuple[int, int]) -> NDArray[np.uint16]:
    """Return (H, W) 14-bit counts: a warm gradient, noise, and hot blobs that move with `number`.

    The benchmark measures time, not recall: the images need contrast, not likeness.
    """
    rng = np.random.default_rng(number)
    height, width = size
    y, x = np.mgrid[:height, :width].astype(np.float32)
    counts: NDArray[Any] = 7000 + 400 * y / height + rng.normal(0, 8, size)
    for blob in range(12):
        centre_x = (83 * blob + 7 * number) % width
        centre_y = (40 + 61 * blob) % height
        distance = ((x - centre_x) / 6) ** 2 + ((y - centre_y) / 14) ** 2
        counts += 900 * np.exp(-distance)
    return np.rint(counts).astype(np.uint16)


def colour_image(number: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return (H, W, 3) uint8 B, G, R of the same scene, registered to the counts."""
    counts = thermal_counts(number, size).astype(np.float32)
    grey = np.clip((counts - 6900) / 6, 0, 255)
    return np.stack([grey, 255 - grey, grey / 2], axis=2).astype(np.uint8)
