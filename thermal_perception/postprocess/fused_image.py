"""Fused brightness to an image to publish: grey, or in the colours of the visible image."""

from __future__ import annotations

from typing import Any, TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Bytes = NDArray[np.uint8]
    Floats = NDArray[np.float32]

COLOUR_GAIN = 2.0  # with 4, people on MSRS nights turn green; with 1, lit walls turn pale


def fused_image(
    fused: Floats,
    rgb: Bytes | None = None,
    *,
    stretch: bool = False,
    colour_gain: float = COLOUR_GAIN,
) -> Bytes:
    """Make an 8-bit image of fused brightness.

    In colour, hue and saturation are those of the visible image and V of HSV is the fused
    brightness: B, G and R are multiplied by u / V. Where the visible image is nearly black that
    factor is large and would turn a pixel's noise into a glaring colour, so colour is amplified
    `colour_gain` times at most and the rest of the brightness is grey; a black pixel, which has
    no colour, becomes grey. The largest of B, G and R always equals the grey image.

    Args:
        fused: (H, W) float u; 0..1 spans black to white, what is beyond is clipped, NaN is black.
        rgb: (H, W, 3) visible image in B, G, R order, registered; None gives a grey image.
        stretch: spread the image's own range over black to white. It looks crisper, but grey
            levels no longer compare between images, nor do metrics.
        colour_gain: see above; infinity keeps the saturation of every pixel that is not black.

    Returns:
        (H, W) mono8, or (H, W, 3) bgr8; rounded half up.

    Raises:
        ValueError: if the sizes differ.
    """
    if rgb is not None and rgb.shape != (*fused.shape, 3):
        raise ValueError(
            f'fused_image: found fused {fused.shape} and rgb {rgb.shape}, '
            f'expected (H, W) and (H, W, 3)'
        )
    levels = _clipped((_stretched(fused) if stretch else fused) * np.float32(255))
    grey = (levels + np.float32(0.5)).astype(np.uint8)
    return grey if rgb is None else _coloured(grey, levels, rgb, colour_gain)


def _coloured(grey: Bytes, levels: Floats, rgb: Bytes, colour_gain: float) -> Bytes:
    """Lower each channel of `grey` by as much as, amplified, it is below V in `rgb`.

    With gain u / V this is the channel times u / V, and V comes out as `grey` whatever the gain.
    """
    channels: list[Any] = list(cv2.split(rgb))
    value = np.maximum(np.maximum(channels[0], channels[1]), channels[2])
    gain = np.minimum(levels / np.maximum(value, 1), np.float32(colour_gain))
    below = [cv2.multiply(value - channel, gain, dtype=cv2.CV_8U) for channel in channels]
    coloured = np.empty_like(rgb)
    cv2.merge([cv2.subtract(grey, difference) for difference in below], coloured)
    return coloured


def _clipped(levels: Floats) -> Floats:
    """Clip to 0..255, in place; NaN becomes 0."""
    cv2.patchNaNs(levels, 0)
    return np.clip(levels, np.float32(0), np.float32(255), out=levels)


def _stretched(fused: Floats) -> Floats:
    """Spread the finite range over 0..1; a constant image stays as it is."""
    finite = fused[np.isfinite(fused)]
    if not finite.size or finite.min() == finite.max():
        return fused
    low = finite.min()
    return (fused - low) / (finite.max() - low)
