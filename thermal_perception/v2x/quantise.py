"""Eight bits per number: features are not negative, so one scale per channel is all it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_STEPS = 255


def to_uint8(
    features: NDArray[np.float32],
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Round to 255 steps of each channel's own size.

    Args:
        features: (C, h, w), finite, not negative.

    Returns:
        (C, h, w) steps and (C,) the size of one, which is above zero also in an empty channel; no
        number is off by more than half a step.
    """
    scales = (features.max((1, 2), initial=0.0) / _STEPS).astype(np.float32)
    scales = np.where(scales > 0, scales, np.float32(1))
    steps = np.rint(features / scales[:, None, None])
    return np.clip(steps, 0, _STEPS).astype(np.uint8), scales


def from_uint8(steps: NDArray[np.uint8], scales: NDArray[np.float32]) -> NDArray[np.float32]:
    """Undo `to_uint8`."""
    return steps * scales[:, None, None]
