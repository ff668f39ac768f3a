"""Visual information fidelity in the pixel domain (VIFp) over four scales.

Sheikh and Bovik, Image Information and Visual Quality, IEEE TIP 15(2), 2006. How much of the
information that an observer gets from the reference also reaches them through the other image:
1 for the reference itself, 0 for unrelated ones, above 1 for the reference with more contrast.
"""

from __future__ import annotations

from functools import partial
from typing import Any, TYPE_CHECKING

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter

from thermal_perception.errors import MetricError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

WINDOWS = (17, 9, 5, 3)
"""Side of the Gaussian window per scale, pixels; its deviation is a fifth of that."""

SMALLEST_SIDE = 41
"""Sides of an image must have this many pixels, for the last scale to have one window."""

_NOISE = 2.0  # variance of the observer's noise
_EPSILON = 1e-10


def visual_information_fidelity(
    reference: NDArray[np.float64], image: NDArray[np.float64]
) -> float:
    """Return VIFp of images (H, W) in 0..255, computed in float64 where the window fits.

    NaN for a constant reference, which holds no information to be kept.

    Raises:
        MetricError: if a side has fewer than 41 pixels.
    """
    if min(reference.shape) < SMALLEST_SIDE:
        height, width = reference.shape
        raise MetricError(
            f'VIF: found {height}x{width} pixels (height x width), expected at least '
            f'{SMALLEST_SIDE} on each side'
        )
    # Variances do not depend on the mean; without it a constant image has none at all.
    a, b = reference - reference.mean(), image - image.mean()
    kept = whole = 0.0
    for scale, side in enumerate(WINDOWS):
        if scale:
            a, b = _smooth(a, side)[::2, ::2], _smooth(b, side)[::2, ::2]
        scale_kept, scale_whole = _information(a, b, partial(_smooth, side=side))
        kept, whole = kept + scale_kept, whole + scale_whole
    return kept / whole if whole > 0 else float('nan')


def published_visual_information_fidelity(
    reference: NDArray[np.float64], image: NDArray[np.float64]
) -> float:
    """Return what E2E-MFD publishes as VIF: VIFp computed in bytes.

    There the arrays stay uint8: products and differences wrap around at 256, and blurred values
    are rounded. That doubles or triples the figure. For comparison with those tables only. Images
    of any size do, since the blur reflects at the border.
    """
    a, b = (np.floor(x + 0.5).astype(np.uint8) for x in (reference, image))
    kept = whole = 0.0
    for scale, side in enumerate(WINDOWS):
        if scale:
            a, b = (gaussian_filter(x, side / 5)[::2, ::2] for x in (a, b))
        scale_kept, scale_whole = _information(a, b, partial(gaussian_filter, sigma=side / 5))
        kept, whole = kept + scale_kept, whole + scale_whole
    return kept / whole if whole > 0 else float('nan')


def _information(
    a: NDArray[Any],
    b: NDArray[Any],
    smooth: Callable[[NDArray[Any]], NDArray[Any]],
) -> tuple[float, float]:
    """Return the information kept and the whole at one scale, in bans.

    Sums and products are those of the arrays' own type: bytes wrap around.
    """
    mean_a, mean_b = smooth(a), smooth(b)
    variance_a = _positive(smooth(a * a) - mean_a * mean_a)
    variance_b = _positive(smooth(b * b) - mean_b * mean_b)
    covariance = (smooth(a * b) - mean_a * mean_b).astype(np.float64)
    gain = covariance / (variance_a + _EPSILON)
    rest = variance_b - gain * covariance
    flat_a, flat_b = variance_a < _EPSILON, variance_b < _EPSILON
    gain[flat_a | flat_b] = 0
    rest = np.where(flat_a, variance_b, rest)
    rest[flat_b] = 0
    variance_a = np.where(flat_a, 0, variance_a)
    opposed = gain < 0
    rest = np.maximum(np.where(opposed, variance_b, rest), _EPSILON)
    gain[opposed] = 0
    kept = np.log10(1 + gain**2 * variance_a / (rest + _NOISE)).sum()
    return float(kept), float(np.log10(1 + variance_a / _NOISE).sum())


def _positive(values: NDArray[Any]) -> NDArray[np.float64]:
    return np.maximum(values.astype(np.float64), 0)


def _smooth(image: NDArray[Any], side: int) -> NDArray[np.float64]:
    """Blur by a Gaussian window where it fits: (H, W) becomes (H - side + 1, W - side + 1)."""
    offsets = np.arange(side) - side // 2
    window = np.exp(-(offsets**2) / (2 * (side / 5) ** 2))
    window /= window.sum()
    half = side // 2
    blurred = cv2.sepFilter2D(image, cv2.CV_64F, window, window)
    return np.asarray(blurred, np.float64)[
        half : image.shape[0] - half, half : image.shape[1] - half
    ]
