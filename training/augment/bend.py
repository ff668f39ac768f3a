"""Maps of a sample onto itself that are not affine: steps of a grid, or another perspective.

What was outside of a sample stays outside, so that nothing has to be filled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.augment.config import AugmentConfig


class Bend(Protocol):
    """A map of points (N, 2), x and y in sample pixels."""

    def forward(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return where what is at the points of the plain sample is shown."""

    def back(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return where in the plain sample that is what the points show."""


@dataclass(frozen=True, eq=False)
class GridBend:
    """Columns and rows become wider or narrower step by step; upright boxes stay such.

    Attributes:
        plain: knots along x and along y, rising from 0 to the sides of the sample.
        shown: where they come to lie.
    """

    plain: tuple[NDArray[np.float64], NDArray[np.float64]]
    shown: tuple[NDArray[np.float64], NDArray[np.float64]]

    def forward(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return where what is at the points of the plain sample is shown."""
        return _along_axes(points, self.plain, self.shown)

    def back(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return where in the plain sample that is what the points show."""
        return _along_axes(points, self.shown, self.plain)


@dataclass(frozen=True, eq=False)
class PerspectiveBend:
    """The sample from another side.

    Attributes:
        homography: (3, 3) from plain to shown pixels.
    """

    homography: NDArray[np.float64]

    def forward(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return where what is at the points of the plain sample is shown."""
        return _projected(points, self.homography)

    def back(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return where in the plain sample that is what the points show."""
        return _projected(points, np.asarray(np.linalg.inv(self.homography), np.float64))


def draw_bend(
    config: AugmentConfig, size: tuple[int, int], rng: np.random.Generator
) -> Bend | None:
    """Draw how a sample of (height, width) is bent, one way as likely as the other."""
    if not config.bend or rng.random() >= config.bend:
        return None
    if rng.random() < 0.5:
        return _draw_grid(config, size, rng)
    return _draw_perspective(config, size, rng)


def _draw_grid(config: AugmentConfig, size: tuple[int, int], rng: np.random.Generator) -> GridBend:
    knots = [_draw_knots(side, config, rng) for side in size[::-1]]
    even = [np.linspace(0, side, config.bend_steps + 1) for side in size[::-1]]
    return GridBend((even[0], even[1]), (knots[0], knots[1]))


def _draw_knots(side: int, config: AugmentConfig, rng: np.random.Generator) -> NDArray[np.float64]:
    steps = 1 + rng.uniform(-1, 1, config.bend_steps) * config.bend_grid
    return np.concatenate(([0.0], np.cumsum(steps) * side / steps.sum()))


def _draw_perspective(
    config: AugmentConfig, size: tuple[int, int], rng: np.random.Generator
) -> PerspectiveBend:
    """Stretch a quadrilateral to the sample whose corners lie some way inside of it."""
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * [size[1], size[0]]
    inwards = 1 - 2 * (corners > 0)
    moved = corners + inwards * rng.uniform(0, config.bend_perspective, (4, 2)) * size[::-1]
    homography = cv2.getPerspectiveTransform(moved.astype(np.float32), corners.astype(np.float32))
    return PerspectiveBend(np.asarray(homography, np.float64))


def _along_axes(
    points: NDArray[np.float64],
    start: tuple[NDArray[np.float64], ...],
    end: tuple[NDArray[np.float64], ...],
) -> NDArray[np.float64]:
    columns = [np.interp(points[:, axis], start[axis], end[axis]) for axis in (0, 1)]
    return np.stack(columns, axis=1)


def _projected(
    points: NDArray[np.float64], homography: NDArray[np.float64]
) -> NDArray[np.float64]:
    moved = points @ homography[:, :2].T + homography[:, 2]
    return np.asarray(moved[:, :2] / moved[:, 2:])
