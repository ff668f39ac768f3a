"""How a scene is lit and a colour picture developed: jitter, darkness, local contrast.

Source: the training of "Frequency-Guided Fusion For RGB-Thermal Semantic Segmentation",
arXiv 2605.26273, for which effects and how strong.
"""

from __future__ import annotations

from typing import Any, TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.augment.config import AugmentConfig

_GREY = np.array((0.299, 0.587, 0.114), np.float32)  # of R, G, B, as television weighs them
_CLAHE_CLIP, _CLAHE_TILES = 2.0, (8, 8)
_CIRCLE_DEG = 360


def vary_light(
    image: NDArray[np.float32], config: AugmentConfig, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Vary an image (H, W, 3) in 0..1, R, G, B, as scenes are lit and pictures developed.

    Effects that are turned off draw no random number.
    """
    if config.rgb_jitter and rng.random() < config.rgb_jitter:
        image = _jittered(image, config, rng)
    if config.rgb_levels and rng.random() < config.rgb_levels:
        ranges = config.rgb_levels_of[rng.integers(len(config.rgb_levels_of))]
        brightness, contrast = rng.uniform(*ranges[:2]), rng.uniform(*ranges[2:])
        image = np.clip(image * np.float32(1 + contrast) + np.float32(brightness), 0, 1)
    if config.rgb_clahe and rng.random() < config.rgb_clahe:
        image = local_contrast(image)
    return image


def local_contrast(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Equalise the lightness of an image (H, W, 3) in 0..1 tile by tile (CLAHE), in 8 bits."""
    lab: Any = cv2.cvtColor(np.rint(image * 255).astype(np.uint8), cv2.COLOR_RGB2Lab)
    lab[..., 0] = cv2.createCLAHE(_CLAHE_CLIP, _CLAHE_TILES).apply(lab[..., 0])
    return np.asarray(cv2.cvtColor(lab, cv2.COLOR_Lab2RGB) / 255, np.float32)


def adjusted(
    image: NDArray[np.float32],
    *,
    brightness: float = 1.0,
    contrast: float = 1.0,
    saturation: float = 1.0,
    hue: float = 0.0,
) -> NDArray[np.float32]:
    """Change an image (H, W, 3) in 0..1, in this order, each result within 0..1.

    Args:
        image: R, G, B.
        brightness: factor.
        contrast: factor on the distance from the mean grey of the image.
        saturation: factor on the distance of every pixel from its grey.
        hue: turn of the circle of hues, 1 is once around.
    """
    image = np.clip(image * np.float32(brightness), 0, 1)
    image = _from_grey(image, (image @ _GREY).mean(), contrast)
    image = _from_grey(image, (image @ _GREY)[..., None], saturation)
    if not hue:
        return image
    hsv: Any = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
    hsv[..., 0] = (hsv[..., 0] + hue * _CIRCLE_DEG) % _CIRCLE_DEG
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), np.float32)


def _jittered(
    image: NDArray[np.float32], config: AugmentConfig, rng: np.random.Generator
) -> NDArray[np.float32]:
    brightness, contrast, saturation, hue = rng.uniform(-1, 1, 4).tolist()
    return adjusted(
        image,
        brightness=1 + brightness * config.rgb_brightness,
        contrast=1 + contrast * config.rgb_contrast,
        saturation=1 + saturation * config.rgb_saturation,
        hue=hue * config.rgb_hue,
    )


def _from_grey(
    image: NDArray[np.float32], grey: NDArray[np.float32] | np.float32, factor: float
) -> NDArray[np.float32]:
    """Stretch the distance of an image from a grey."""
    return np.clip(grey + (image - grey) * np.float32(factor), 0, 1)
