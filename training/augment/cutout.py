"""Rectangles that a sample does not show.

Source: DeVries and Taylor, Cutout, arXiv 1708.04552.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from training.augment.config import AugmentConfig

Hole = tuple[slice, slice]
"""Rows and columns of a sample."""


def draw_holes(
    config: AugmentConfig, size: tuple[int, int], rng: np.random.Generator
) -> list[Hole]:
    """Draw what is cut out of a sample of (height, width); holes may overlap."""
    if not config.cutout or rng.random() >= config.cutout:
        return []
    count = rng.integers(*config.cutout_holes, endpoint=True)
    return [_draw_hole(config, size, rng) for _ in range(count)]


def _draw_hole(config: AugmentConfig, size: tuple[int, int], rng: np.random.Generator) -> Hole:
    sides = np.minimum(rng.integers(*config.cutout_px, size=2, endpoint=True), size)
    y, x = rng.integers(0, np.subtract(size, sides), endpoint=True).tolist()
    height, width = sides.tolist()
    return slice(y, y + height), slice(x, x + width)
