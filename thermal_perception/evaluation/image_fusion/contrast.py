"""Figures of the fused image alone, (H, W) float64 grey levels 0..255.

Definitions as in Ma et al., Infrared and Visible Image Fusion Methods and Applications: A Survey,
Information Fusion 45, 2019.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from thermal_perception.evaluation.image_fusion.information import entropy_nats, histogram

if TYPE_CHECKING:
    from numpy.typing import NDArray


def entropy(fused: NDArray[np.float64]) -> float:
    """Return EN, the entropy of the grey levels in bits: 0 (constant) to 8 (all levels alike)."""
    return entropy_nats(histogram(fused)) / float(np.log(2))


def standard_deviation(fused: NDArray[np.float64]) -> float:
    """Return SD, the population standard deviation in grey levels."""
    return float(fused.std())


def spatial_frequency(fused: NDArray[np.float64]) -> float:
    """Return SF, the root of the mean squared steps along rows plus those along columns.

    A direction with a single pixel has no step and adds nothing.
    """
    steps = (np.diff(fused, axis=axis) for axis in (0, 1))
    return float(np.sqrt(sum(np.square(s).mean() for s in steps if s.size)))


def average_gradient(fused: NDArray[np.float64]) -> float:
    """Return AG, the mean of sqrt((dx² + dy²) / 2).

    dx and dy are central differences, one-sided at the border; 0 along a single pixel.
    """
    gradients = [
        np.gradient(fused, axis=axis) if fused.shape[axis] > 1 else np.zeros_like(fused)
        for axis in (0, 1)
    ]
    return float(np.sqrt((gradients[0] ** 2 + gradients[1] ** 2) / 2).mean())
