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
