"""Simple ways to fuse two images, to hold a network against.

All take and give grey levels 0..255 in float; the caller rounds. None of them is trained.
"""

from __future__ import annotations

from typing import Any, TYPE_CHECKING

import cv2
import numpy as np

from thermal_perception.evaluation.image_fusion.grey import require_same_size

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Levels = NDArray[np.float64]

_PYRAMID_LEVELS = 4
_MEAN_WINDOW = 31
_SALIENCY_SIGMA, _SALIENCY_WINDOW = 5.0, 11
_BASE_GUIDE, _DETAIL_GUIDE = (45, 0.3), (7, 1e-6)  # radius in pixels, regularisation of 0..1


def average(thermal: Levels, visible: Levels) -> Levels:
    """Return the mean of both images (H, W)."""
    return (thermal + visible) / 2


def maximum(thermal: Levels, visible: Levels) -> Levels:
    """Return the brighter of both at every pixel (H, W)."""
    return np.maximum(thermal, visible)


def laplacian(thermal: Levels, visible: Levels) -> Levels:
    """Take the stronger detail at each of four scales, and the mean of what remains.

    Source: Burt and Adelson, The Laplacian Pyramid as a Compact Image Code, 1983.
    """
    pyramids = [_laplacian_pyramid(image) for image in (thermal, visible)]
    details = [np.where(np.abs(a) >= np.abs(b), a, b) for a, b in zip(*(p[:-1] for p in pyramids))]
    fused = (pyramids[0][-1] + pyramids[1][-1]) / 2
    for detail in reversed(details):
        fused = _enlarged(fused, detail.shape) + detail
    return fused


def guided_filter(thermal: Levels, visible: Levels) -> Levels:
    """Weigh base and detail layers by saliency, the weights smoothed along edges of the images.

    Source: Li, Kang and Hu, Image Fusion with Guided Filtering, IEEE Transactions on Image
    Processing 22 (7), 2013, with the paper's parameters.
    """
    images = [thermal / 255, visible / 255]
    bases = [_mean(image, (_MEAN_WINDOW, _MEAN_WINDOW)) for image in images]
    salient = [_saliency(image) for image in images]
    first = (salient[0] >= salient[1]).astype(np.float64)
    fused = np.zeros_like(thermal)
    for radius, epsilon, layers in (
        (*_BASE_GUIDE, bases),
        (*_DETAIL_GUIDE, [image - base for image, base in zip(images, bases)]),
    ):
        weights = [
            _guided(image, choice, radius, epsilon).clip(0, 1)
            for image, choice in zip(images, (first, 1 - first))
        ]
        total = np.maximum(weights[0] + weights[1], 1e-6)
        fused += (weights[0] * layers[0] + weights[1] * layers[1]) / total
    return fused * 255


BASELINES: dict[str, Callable[[Levels, Levels], Levels]] = {
    'average': average,
    'maximum': maximum,
    'laplacian': laplacian,
    'guided_filter': guided_filter,
}


def fuse_simply(name: str, *, thermal: NDArray[Any], visible: NDArray[Any]) -> Levels:
    """Fuse two images (H, W) of grey levels 0..255 by one of `BASELINES`.

    Returns:
        (H, W) float64; may lie a little outside of 0..255.

    Raises:
        MetricError: if the sizes differ.
    """
    require_same_size(thermal, visible, names=('thermal image', 'visible image'))
    return BASELINES[name](thermal.astype(np.float64), visible.astype(np.float64))


def _laplacian_pyramid(image: Levels) -> list[Levels]:
    """Return the details of four scales, finest first, and what remains."""
    levels = []
    for _ in range(_PYRAMID_LEVELS):
        smaller: Levels = np.asarray(cv2.pyrDown(image), np.float64)
        levels.append(image - _enlarged(smaller, image.shape))
        image = smaller
    return [*levels, image]


def _enlarged(image: Levels, shape: tuple[int, ...]) -> Levels:
    return np.asarray(cv2.pyrUp(image, dstsize=(shape[1], shape[0])), np.float64)


def _mean(image: Levels, window: tuple[int, int]) -> Levels:
    return np.asarray(cv2.blur(image, window, borderType=cv2.BORDER_REFLECT), np.float64)


def _saliency(image: Levels) -> Levels:
    contrast = np.abs(cv2.Laplacian(image, cv2.CV_64F, borderType=cv2.BORDER_REFLECT))
    side = _SALIENCY_WINDOW
    blurred = cv2.GaussianBlur(contrast, (side, side), _SALIENCY_SIGMA)
    return np.asarray(blurred, np.float64)


def _guided(guide: Levels, values: Levels, radius: int, epsilon: float) -> Levels:
    """Smooth `values` so that edges of `guide` stay (He, Sun and Tang, 2010)."""
    window = (2 * radius + 1, 2 * radius + 1)
    mean_g, mean_v = _mean(guide, window), _mean(values, window)
    covariance = _mean(guide * values, window) - mean_g * mean_v
    slope = covariance / (_mean(guide * guide, window) - mean_g**2 + epsilon)
    return _mean(slope, window) * guide + _mean(mean_v - slope * mean_g, window)
