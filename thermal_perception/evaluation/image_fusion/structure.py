"""Structural similarity and correlation of the fused image with its sources."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from thermal_perception.errors import MetricError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WINDOW, _SIGMA = 11, 1.5
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def ssim(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Return the structural similarity of images (H, W) in 0..255, -1..1.

    Gaussian window of 11 pixels and deviation 1.5, weighted (population) variances, averaged where
    the window fits.

    Raises:
        MetricError: if a side has fewer than 11 pixels.

    Source: Wang et al., Image Quality Assessment, IEEE TIP 13(4), 2004.
    """
    if min(a.shape) < _WINDOW:
        raise MetricError(
            f'SSIM: found {a.shape[0]}x{a.shape[1]} pixels (height x width), expected at least '
            f'{_WINDOW} on each side'
        )
    mean_a, mean_b = _smooth(a), _smooth(b)
    variance_a = _smooth(a * a) - mean_a**2
    variance_b = _smooth(b * b) - mean_b**2
    covariance = _smooth(a * b) - mean_a * mean_b
    light = (2 * mean_a * mean_b + _C1) / (mean_a**2 + mean_b**2 + _C1)
    shape = (2 * covariance + _C2) / (variance_a + variance_b + _C2)
    return float((light * shape).mean())


def sum_of_correlated_differences(
    first: NDArray[np.float64], second: NDArray[np.float64], fused: NDArray[np.float64]
) -> float:
    """Return SCD: what the fused image has beyond one source should be the other one, -2..2.

    Source: Aslantas and Bendes, A New Image Quality Metric for Image Fusion, AEU 69(12), 2015.
    """
    return correlation(fused - second, first) + correlation(fused - first, second)


def correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Return the Pearson correlation of two images; 0 if one is constant and tells nothing."""
    ours, theirs = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((ours**2).sum() * (theirs**2).sum()))
    return float((ours * theirs).sum()) / scale if scale > 0 else 0.0


def _smooth(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """Blur where the window fits: (H, W) becomes (H - 10, W - 10)."""
    half = _WINDOW // 2
    blurred = cv2.GaussianBlur(image, (_WINDOW, _WINDOW), _SIGMA)
    return np.asarray(blurred, np.float64)[half:-half, half:-half]
