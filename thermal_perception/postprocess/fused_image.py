"""Fused brightness to an image to publish: grey, or in the colours of the visible image."""

from __future__ import annotations

from typing import Any, TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Bytes = NDArray[np.uint8]
    Floats = NDArray[np.float32]

# Colour is amplified 255 / 127, about twice, at most: with 4 times, people on MSRS nights turn
# green, and not at all, lit walls turn pale. With this unit the limit is where a byte saturates.
_GAIN_UNIT = 127


def fused_image(fused: Floats, rgb: Bytes | None = None, *, stretch: bool = False) -> Bytes:
    """Make an 8-bit image of fused brightness.

    In colour, hue and saturation are those of the visible image and V of HSV is the fused
    brightness: B, G and R are multiplied by u / V. Where the visible image is nearly black that
    factor would make a glaring colour of a pixel's noise, so colour is amplified twice at most and
    the rest of the brightness is grey; a black pixel, which has no colour, becomes grey. The
    largest of B, G and R always equals the grey image, and no channel is more than two grey levels
    off.

    Args:
        fused: (H, W) float u; 0..1 spans black to white, what is beyond is clipped, NaN is black.
        rgb: (H, W, 3) visible image in B, G, R order, registered; None gives a grey image.
        stretch: spread the image's own range over black to white. It looks crisper, but grey
            levels no longer compare between images, nor do metrics.

    Returns:
        (H, W) mono8, or (H, W, 3) bgr8; brightness is rounded half up.

    Raises:
        ValueError: if the sizes differ.
    """
    if rgb is not None and rgb.shape != (*fused.shape, 3):
        raise ValueError(
            f'fused_image: found fused {fused.shape} and rgb {rgb.shape}, '
            f'expected (H, W) and (H, W, 3)'
        )
    grey = _grey_levels(_stretched(fused) if stretch else fused)
    return grey if rgb is None else _coloured(grey, rgb)


def _coloured(grey: Bytes, rgb: Bytes) -> Bytes:
    """Lower each channel of `grey` by as much as, amplified, it is below V in `rgb`.

    With gain u / V this is the channel times u / V, and V comes out as `grey` whatever the gain.
    All in bytes, which OpenCV saturates, and in place: half the time of going through HSV.
    """
    channels: list[Any] = list(cv2.split(rgb))
    value = cv2.max(cv2.max(channels[0], channels[1]), channels[2])
    gain = cv2.divide(grey, value, None, _GAIN_UNIT)  # 0 where V is 0
    for channel in channels:
        cv2.subtract(value, channel, channel)
        cv2.multiply(channel, gain, channel, 1 / _GAIN_UNIT)
        cv2.subtract(grey, channel, channel)
    coloured = np.empty_like(rgb)
    cv2.merge(channels, coloured)
    return coloured


def _grey_levels(fused: Floats) -> Bytes:
    """Return 0..255, rounded half up and clipped; NaN is 0."""
    levels = fused * np.float32(255)
    cv2.patchNaNs(levels, 0)
    np.clip(levels, np.float32(0), np.float32(255), out=levels)
    levels += np.float32(0.5)
    return levels.astype(np.uint8)


def _stretched(fused: Floats) -> Floats:
    """Spread the finite range over 0..1; a constant image stays as it is."""
    finite = fused[np.isfinite(fused)]
    if not finite.size or finite.min() == finite.max():
        return fused
    low = finite.min()
    return (fused - low) / (finite.max() - low)
