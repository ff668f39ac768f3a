"""Augmentation of thermal images with boxes: one warp, then intensity.

All geometry of a sample (crop, zoom, flips) is one affine map, so that pixels are resampled once
and boxes move with exactly the same matrix. Two ways to draw it: small crops around objects, for
training on a CPU, and DETR's resizing of whole images.

Source: Carion et al., DETR, arXiv 2005.12872, for the sizes of whole images and their crops.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class AugmentConfig:
    """How training samples are varied.

    Attributes:
        crop_size: (height, width) of every training sample, pixels; None takes whole images,
            resized.
        short_sides: whole images: the shorter side is drawn from these.
        max_long_side: whole images: the longer side stays within this.
        crop_aug: whole images: probability of DETR's crop, a window of 384 to 600 pixels of the
            image resized to a short side of 400 to 600.
        zoom: range of the magnification, drawn log-uniformly.
        focus: probability that the crop looks at an object, rare classes more often.
        horizontal_flip: probability.
        vertical_flip: probability; only sensible when looking down.
        min_visible: share of a box that must remain in the crop; what shows less is wiped out.
        gain: range of a factor on intensities in 0..1.
        offset: range of an added constant.
        gamma: range of the exponent.
        noise: largest standard deviation of added noise.
        blur: probability of a slight defocus.
        deep: probability that an 8-bit frame is turned into 16-bit counts first.
    """

    crop_size: tuple[int, int] | None = (320, 384)
    short_sides: tuple[int, ...] = (480, 512, 544, 576, 608, 640, 672, 704, 736, 768, 800)
    max_long_side: int = 1333
    crop_aug: float = 0.0
    zoom: tuple[float, float] = (0.75, 1.4)
    focus: float = 0.8
    horizontal_flip: float = 0.5
    vertical_flip: float = 0.0
    min_visible: float = 0.3
    gain: tuple[float, float] = (0.8, 1.2)
    offset: tuple[float, float] = (-0.1, 0.1)
    gamma: tuple[float, float] = (0.8, 1.25)
    noise: float = 0.015
    blur: float = 0.1
    deep: float = 0.35


class View(NamedTuple):
    """Which pixels a sample shows.

    Attributes:
        matrix: (2, 3) affine map from source pixels to sample pixels, axes kept but for flips.
        size: (height, width) of the sample.
    """

    matrix: NDArray[np.float64]
    size: tuple[int, int]


def draw_view(
    config: AugmentConfig,
    size: tuple[int, int],
    boxes_xyxy_px: NDArray[np.float32],
    weights: NDArray[np.float64],
    rng: np.random.Generator,
) -> View:
    """Draw what a training sample of an image of `size` shows; see `crop_matrix`."""
    if config.crop_size is not None:
        return View(crop_matrix(config, size, boxes_xyxy_px, weights, rng), config.crop_size)
    window = np.array([0.0, 0.0, size[1], size[0]])
    if rng.random() < config.crop_aug:
        window = _detr_window(size, rng)
    return _resized_view(config, window, rng)


def _detr_window(size: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return x, y, width, height of DETR's random crop, in source pixels."""
    factor = rng.choice((400, 500, 600)) / min(size)
    limits = np.array([size[1], size[0]]) * factor
    sides = rng.integers(384, 601, size=2).clip(max=limits)
    corner = rng.uniform(0, limits - sides)
    return np.concatenate((corner, sides)) / factor


def _resized_view(
    config: AugmentConfig, window: NDArray[np.float64], rng: np.random.Generator
) -> View:
    x, y, width, height = window
    short = int(rng.choice(config.short_sides))
    factor = min(short / min(width, height), config.max_long_side / max(width, height))
    size = max(1, round(height * factor)), max(1, round(width * factor))
    scale = np.array([size[1] / width, size[0] / height])
    flip = rng.random(2) < (config.horizontal_flip, config.vertical_flip)
    matrix = np.zeros((2, 3))
    matrix[0, 0], matrix[1, 1] = np.where(flip, -scale, scale)
    matrix[:, 2] = np.where(flip, (x + width, y + height), (-x, -y)) * scale
    return View(matrix, size)


def crop_matrix(
    config: AugmentConfig,
    size: tuple[int, int],
    boxes_xyxy_px: NDArray[np.float32],
    weights: NDArray[np.float64],
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Draw the (2, 3) affine map from source pixels of an image of `size` to crop pixels.

    Args:
        config: ranges and probabilities.
        size: (height, width) of the source.
        boxes_xyxy_px: (N, 4) objects the crop may focus on.
        weights: (N,) relative probability of each to be the focus.
        rng: source of randomness.
    """
    height, width = size
    assert config.crop_size is not None
    crop_h, crop_w = config.crop_size
    low = max(config.zoom[0], min(crop_h / height, crop_w / width))
    zoom = float(np.exp(rng.uniform(np.log(low), np.log(max(config.zoom[1], low)))))
    centre = rng.uniform((0, 0), (width, height))
    if len(boxes_xyxy_px) and rng.random() < config.focus:
        box = boxes_xyxy_px[rng.choice(len(boxes_xyxy_px), p=weights / weights.sum())]
        reach = np.array([crop_w, crop_h]) / zoom * 0.4
        centre = (box[:2] + box[2:]) / 2 + rng.uniform(-reach, reach)
    half = np.minimum(np.array([crop_w, crop_h]) / zoom, (width, height)) / 2
    centre = np.clip(centre, half, np.array([width, height]) - half)
    sign = np.where(rng.random(2) < (config.horizontal_flip, config.vertical_flip), -1.0, 1.0)
    matrix = np.zeros((2, 3))
    matrix[0, 0], matrix[1, 1] = zoom * sign
    matrix[:, 2] = np.array([crop_w, crop_h]) / 2 - matrix[:, :2] @ centre
    return matrix


def warp_image(
    image: NDArray[np.float32], matrix: NDArray[np.float64], size: tuple[int, int]
) -> NDArray[np.float32]:
    """Resample (H, W) by an affine map between pixel coordinates whose first pixel spans 0..1.

    Where the map shrinks, the image is blurred first, so that no detail aliases.
    """
    shrink = float(np.abs(np.diag(matrix)).min())
    if shrink < 0.9:
        image = cv2.GaussianBlur(image, (0, 0), 0.5 * np.sqrt(1 / shrink**2 - 1))
    # OpenCV puts the centre of the first pixel at 0, we put it at 0.5.
    shift = matrix[:, :2] @ [0.5, 0.5] - 0.5
    cv_matrix = matrix + np.column_stack((np.zeros((2, 2)), shift))
    return cv2.warpAffine(image, cv_matrix, size[::-1], flags=cv2.INTER_LINEAR)


def warp_boxes(
    boxes_xyxy_px: NDArray[np.float32],
    matrix: NDArray[np.float64],
    size: tuple[int, int],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Move (N, 4) boxes by an axis-aligned affine map and clip them to `size`.

    Returns:
        (N, 4) clipped boxes and (N,) the share of each that is left.
    """
    corners = boxes_xyxy_px.reshape(-1, 2, 2) @ matrix[:, :2].T + matrix[:, 2]
    moved = np.concatenate((corners.min(1), corners.max(1)), 1)
    clipped = moved.clip(0, (size[1], size[0], size[1], size[0]))
    return clipped.astype(np.float32), (_area(clipped) / np.maximum(_area(moved), 1e-6)).astype(
        np.float32
    )


def jitter_intensity(
    image: NDArray[np.float32], config: AugmentConfig, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Vary gain, offset, gamma, focus and noise of an image in 0..1, in place where possible."""
    if rng.random() < config.blur:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.0))
    gamma = rng.uniform(*config.gamma)
    np.power(image, gamma, out=image)
    image *= rng.uniform(*config.gain)
    image += rng.uniform(*config.offset)
    sigma = rng.uniform(0, config.noise)
    image += rng.standard_normal(image.shape, dtype=np.float32) * np.float32(sigma)
    return np.clip(image, 0, 1, out=image)


def _area(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
