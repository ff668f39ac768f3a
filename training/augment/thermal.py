"""What a thermal camera does to a picture: drift, defocus, noise, patterns, polarity."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.augment.config import AugmentConfig

_COLUMNS, _ROWS, _PIXELS = 0.75, 0.4, 0.5  # shares of a fixed pattern, about 1 RMS together
_COARSE = (4, 5)  # knots of the slow shading
_CLIPPED = 0.05  # share of the pixels that drift may push to white, and to black
_EVERY = 4  # rows and columns that are looked at to find that out


def jitter_intensity(
    image: NDArray[np.float32], config: AugmentConfig, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Vary an image (H, W) in 0..1 as cameras, lenses and detectors differ, in place if possible.

    Effects that are turned off draw no random number, so that turning one on changes no other.
    """
    if rng.random() < config.blur:
        blurred = cv2.GaussianBlur(image, (0, 0), rng.uniform(*config.blur_px))
        image = np.asarray(blurred, np.float32)
    np.power(image, rng.uniform(*config.gamma), out=image)
    gain, offset = rng.uniform(*config.gain), rng.uniform(*config.offset)
    drift(image, gain, offset)
    sigma = rng.uniform(0, config.noise)
    image += rng.standard_normal(image.shape, dtype=np.float32) * np.float32(sigma)
    if config.fixed_pattern:
        image += fixed_pattern(image.shape, rng) * np.float32(rng.uniform(0, config.fixed_pattern))
    if config.shading:
        # Anything from just corrected to long ago.
        image += slow_shading(image.shape, rng) * np.float32(rng.uniform(0, config.shading))
    if config.polarity and rng.random() < config.polarity:
        np.subtract(1, image, out=image)
    return np.clip(image, 0, 1, out=image)


def drift(image: NDArray[np.float32], gain: float, offset: float) -> None:
    """Multiply an image (H, W) in 0..1 and add to it, in place, as far as automatic gain allows.

    A camera sets its gain by the picture. Without that limit a street by day, bright below a
    cold sky, came out white. Gain and offset shrink until at most a twentieth of the pixels
    lies outside of 0..1 on either side.
    """
    low, high = np.quantile(image[::_EVERY, ::_EVERY], (_CLIPPED, 1 - _CLIPPED)).tolist()
    gain = min(gain, 1 / max(high - low, 1e-3))
    image *= gain
    image += min(max(offset, -gain * low), 1 - gain * high)


def fixed_pattern(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return offsets (H, W) of columns, rows and single pixels, standard deviation about 1."""
    height, width = shape[:2]
    columns = rng.standard_normal((1, width), np.float32)
    rows = rng.standard_normal((height, 1), np.float32)
    pixels = rng.standard_normal((height, width), np.float32)
    return np.asarray(_COLUMNS * columns + _ROWS * rows + _PIXELS * pixels, np.float32)


def slow_shading(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return a smooth field (H, W) in -1..1 that spans the image."""
    coarse = rng.uniform(-1, 1, _COARSE).astype(np.float32)
    smooth = cv2.resize(coarse, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    return np.clip(smooth, -1, 1)
