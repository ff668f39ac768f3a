"""What a colour camera does to a picture: exposure, white balance, defocus, noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.augment.config import AugmentConfig


def jitter_colour(
    image: NDArray[np.float32], config: AugmentConfig, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Vary an image (H, W, 3) in 0..1, R, G, B, as cameras and light differ."""
    if config.rgb_spoil and rng.random() < config.rgb_spoil:
        image = _spoilt(image, config, rng)
    if rng.random() < config.blur:
        blurred = cv2.GaussianBlur(image, (0, 0), rng.uniform(*config.blur_px))
        image = np.asarray(blurred, np.float32)
    exposure = np.exp(rng.uniform(*np.log(config.rgb_gain)))
    balance = 1 + rng.uniform(-1, 1, 3) * config.rgb_balance
    image = np.power(image, rng.uniform(*config.rgb_gamma), dtype=np.float32)
    image *= (exposure * balance).astype(np.float32)
    sigma = rng.uniform(0, config.rgb_noise)
    image += rng.standard_normal(image.shape, dtype=np.float32) * np.float32(sigma)
    return np.clip(image, 0, 1, out=image)


def moved(image: NDArray[np.float32], angle_deg: float) -> NDArray[np.float32]:
    """Smear an image (H, W, 3) over a line of three pixels."""
    x, y = np.rint((np.cos(np.deg2rad(angle_deg)), np.sin(np.deg2rad(angle_deg)))).astype(int)
    kernel = np.zeros((3, 3), np.float32)
    kernel[[1, 1 + y, 1 - y], [1, 1 + x, 1 - x]] = 1 / 3
    smeared = cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(smeared, np.float32)


def _spoilt(
    image: NDArray[np.float32], config: AugmentConfig, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Add noise, smear, or take medians, each as likely."""
    way = rng.integers(3)
    if way == 0:
        sigma = np.float32(rng.uniform(*config.rgb_spoil_noise))
        noise = rng.standard_normal(image.shape, np.float32) * sigma
        return np.clip(image + noise, 0, 1)
    if way == 1:
        return moved(image, rng.uniform(0, 180))
    return np.asarray(cv2.medianBlur(image, 3), np.float32)
