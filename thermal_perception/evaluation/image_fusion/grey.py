"""Images as the metrics want them: finite grey levels 0..255, all of one size."""

from __future__ import annotations

from typing import Any, TYPE_CHECKING

import numpy as np

from thermal_perception.errors import MetricError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def brightness(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return V of HSV (the largest channel) of a colour image (H, W, 3); grey stays as it is."""
    return image if image.ndim == 2 else image.max(axis=2)


def quantise(image: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Round grey levels half up and clip them to 0..255, never stretching them.

    Args:
        image: (H, W) in units of grey levels; multiply by 255 what a network gives in 0..1.

    Raises:
        MetricError: if a value is not finite.
    """
    if not np.isfinite(image).all():
        raise MetricError('fused image: found values that are not finite')
    return np.clip(np.floor(image.astype(np.float64) + 0.5), 0, 255).astype(np.uint8)


def grey_levels(image: NDArray[Any], *, name: str) -> NDArray[np.float64]:
    """Return an image (H, W) of 0..255 in float64.

    Raises:
        MetricError: if it is no grey image, has a value that is not finite, or one outside 0..255.
    """
    if image.ndim != 2 or not image.size:
        raise MetricError(f'{name}: found shape {image.shape}, expected a grey image (H, W)')
    levels = image.astype(np.float64)
    if not np.isfinite(levels).all():
        raise MetricError(f'{name}: found values that are not finite')
    if levels.min() < 0 or levels.max() > 255:
        raise MetricError(
            f'{name}: found values {levels.min():g}..{levels.max():g}, expected grey levels 0..255'
        )
    return levels


def require_same_size(a: NDArray[Any], b: NDArray[Any], *, names: tuple[str, str]) -> None:
    """Refuse two images of different size.

    Raises:
        MetricError: naming both sizes as (height, width).
    """
    if a.shape != b.shape:
        raise MetricError(
            f'{names[0]} is {a.shape[0]}x{a.shape[1]} and {names[1]} {b.shape[0]}x{b.shape[1]} '
            f'(height x width), expected the same size'
        )
