"""What a training sample shows: crop, zoom, flips and turn as one affine map, and a bend.

Two ways to draw it: small crops around objects, for training on a CPU, and DETR's resizing of
whole images.

Source: Carion et al., DETR, arXiv 2005.12872, for the sizes of whole images and their crops.
"""

from __future__ import annotations

from typing import NamedTuple, TYPE_CHECKING

import numpy as np

from training.augment.bend import draw_bend

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.augment.bend import Bend
    from training.augment.config import AugmentConfig


class View(NamedTuple):
    """Which pixels a sample shows.

    Attributes:
        matrix: (2, 3) affine map from source pixels to sample pixels.
        size: (height, width) of the sample.
        bend: what happens after it within the sample; None if nothing does.
    """

    matrix: NDArray[np.float64]
    size: tuple[int, int]
    bend: Bend | None = None


def draw_view(
    config: AugmentConfig,
    size: tuple[int, int],
    boxes_xyxy_px: NDArray[np.float32],
    weights: NDArray[np.float64],
    rng: np.random.Generator,
) -> View:
    """Draw what a training sample of an image of `size` shows; see `crop_matrix`."""
    view = _draw_upright(config, size, boxes_xyxy_px, weights, rng)
    matrix = view.matrix
    if config.turn and rng.random() < config.turn:
        angle = rng.uniform(-1, 1) * config.turn_deg
        matrix = about_middle(matrix, view.size, angle_deg=angle)
    return View(matrix, view.size, draw_bend(config, view.size, rng))


def about_middle(
    matrix: NDArray[np.float64],
    size: tuple[int, int],
    *,
    angle_deg: float,
    zoom: float = 1.0,
    shift_px: NDArray[np.float64] | float = 0.0,
) -> NDArray[np.float64]:
    """Return a map (2, 3) followed by a turn and zoom about the middle of a sample, and a shift.

    Args:
        matrix: (2, 3) from source to sample pixels.
        size: (height, width) of the sample.
        angle_deg: from the x axis towards y.
        zoom: magnification.
        shift_px: x and y.
    """
    angle = np.deg2rad(angle_deg)
    turn = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = np.array([size[1], size[0]]) / 2
    after = np.column_stack((turn, middle - turn @ middle + shift_px))
    return after @ np.vstack((matrix, [0, 0, 1]))


def _draw_upright(
    config: AugmentConfig,
    size: tuple[int, int],
    boxes_xyxy_px: NDArray[np.float32],
    weights: NDArray[np.float64],
    rng: np.random.Generator,
) -> View:
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
