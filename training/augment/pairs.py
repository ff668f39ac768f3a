"""Two cameras: one of them fails, or their registration is not quite right."""

from __future__ import annotations

from typing import Literal, TYPE_CHECKING

import numpy as np

from training.augment.views import about_middle

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.augment.config import AugmentConfig


def dropped_camera(
    config: AugmentConfig, rng: np.random.Generator
) -> Literal['thermal', 'rgb'] | None:
    """Draw which camera is missing, None for neither; never both.

    Source: Neverova et al., ModDrop, arXiv 1501.00102.
    """
    drawn = rng.random()
    if drawn < config.drop_thermal:
        return 'thermal'
    return 'rgb' if drawn < config.drop_thermal + config.drop_rgb else None


def misregistered(
    matrix: NDArray[np.float64],
    size: tuple[int, int],
    config: AugmentConfig,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Return the map of the colour image when the thermal one is shown by `matrix`.

    The colour image is shifted, turned and stretched a little about the middle of the sample;
    targets belong to the thermal image and do not follow.

    Args:
        matrix: (2, 3) from source to sample pixels.
        size: (height, width) of the sample.
        config: how much.
        rng: source of randomness.
    """
    angle = rng.uniform(-1, 1) * config.misregister_deg
    zoom = 1 + rng.uniform(-1, 1) * config.misregister_zoom
    shift = rng.uniform(-1, 1, 2) * config.misregister_px
    return about_middle(matrix, size, angle_deg=angle, zoom=zoom, shift_px=shift)
