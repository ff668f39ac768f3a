"""Draw upright boxes as seen from above: numpy and OpenCV, no ROS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TYPE_CHECKING

import cv2
import numpy as np

from thermal_perception.geometry.boxes import corners_3d

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from thermal_perception.types import Boxes3D

    Colour = tuple[int, int, int]

_GROUND, _LINES, _TEXT = (40, 34, 30), (66, 58, 52), (230, 230, 230)  # B, G, R
_EGO_M = (4.6, 1.9)
_SHIFT = 4  # fractional bits of drawn coordinates
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_LEGEND_PX = 22


class Layer(NamedTuple):
    """Boxes that are drawn alike.

    Attributes:
        name: for the legend.
        boxes: in the frame of the base.
        colour: B, G, R.
        filled: whether their inside is painted; else the outline.
    """

    name: str
    boxes: Boxes3D
    colour: Colour
    filled: bool = False


@dataclass(frozen=True)
class BirdsEye:
    """A piece of ground in the frame of the base: x up the picture, y to its left.

    Attributes:
        ahead_m: least and greatest x.
        aside_m: least and greatest y.
        px_per_m: scale.
    """

    ahead_m: tuple[float, float] = (-8.0, 76.0)
    aside_m: tuple[float, float] = (-32.0, 32.0)
    px_per_m: float = 8.0

    @property
    def size(self) -> tuple[int, int]:
        """Return (height, width) of the pictures, without the legend."""
        spans = (high - low for low, high in (self.ahead_m, self.aside_m))
        height, width = (round(span * self.px_per_m) for span in spans)
        return height, width

    def draw(self, layers: Sequence[Layer], title: str = '') -> NDArray[np.uint8]:
        """Draw boxes over a grid of 10 m, with the vehicle itself and a legend below.

        Args:
            layers: later ones on top.
            title: written into the upper left corner.

        Returns:
            (H + 22, W, 3) uint8 BGR.
        """
        height, width = self.size
        canvas = np.full((height + _LEGEND_PX, width, 3), _GROUND, np.uint8)
        picture = canvas[:height]
        self._draw_grid(picture)
        for layer in layers:
            for corners in self.pixels(corners_3d(layer.boxes)[:, :4, :2]):
                self._draw_box(picture, corners, layer)
        self._draw_ego(picture)
        if title:
            cv2.putText(picture, title, (8, 18), _FONT, 0.5, _TEXT, 1, cv2.LINE_AA)
        _draw_legend(canvas[height:], layers)
        return canvas

    def pixels(self, xy_m: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return where points (..., 2) of the ground are: (..., 2) column and row."""
        x, y = xy_m[..., 0], xy_m[..., 1]
        column = (self.aside_m[1] - y) * self.px_per_m
        row = (self.ahead_m[1] - x) * self.px_per_m
        return np.stack((column, row), -1)

    def _draw_box(
        self, picture: NDArray[np.uint8], corners: NDArray[np.float64], layer: Layer
    ) -> None:
        """Draw a box; of an outline also a line from its middle to its front."""
        points = np.rint(np.clip(corners, -(2**13), 2**13) * 2**_SHIFT).astype(np.int32)
        if layer.filled:
            cv2.fillConvexPoly(picture, points, layer.colour, cv2.LINE_AA, _SHIFT)
        else:
            cv2.polylines(picture, [points], True, layer.colour, 2, cv2.LINE_AA, _SHIFT)
            middle, front = (part.mean(0).astype(int).tolist() for part in (points, points[:2]))
            cv2.line(picture, middle, front, layer.colour, 2, cv2.LINE_AA, _SHIFT)

    def _draw_grid(self, picture: NDArray[np.uint8]) -> None:
        for x in np.arange(np.ceil(self.ahead_m[0] / 10) * 10, self.ahead_m[1], 10.0):
            row = round(float(self.pixels(np.array((x, 0.0)))[1]))
            cv2.line(picture, (0, row), (picture.shape[1], row), _LINES)
            cv2.putText(picture, f'{int(x)} m', (4, row - 3), _FONT, 0.35, _LINES, 1, cv2.LINE_AA)
        for y in np.arange(np.ceil(self.aside_m[0] / 10) * 10, self.aside_m[1], 10.0):
            column = round(float(self.pixels(np.array((0.0, y)))[0]))
            cv2.line(picture, (column, 0), (column, picture.shape[0]), _LINES)

    def _draw_ego(self, picture: NDArray[np.uint8]) -> None:
        length, width = _EGO_M
        nose = np.array([(length / 2, 0.0), (-length / 2, width / 2), (-length / 2, -width / 2)])
        points = np.rint(self.pixels(nose) * 2**_SHIFT).astype(np.int32)
        cv2.fillConvexPoly(picture, points, _TEXT, cv2.LINE_AA, _SHIFT)


def _draw_legend(strip: NDArray[np.uint8], layers: Sequence[Layer]) -> None:
    left = 8
    for layer in layers:
        text = f'{layer.name} {len(layer.boxes)}'
        cv2.rectangle(
            strip, (left, 6), (left + 12, 16), layer.colour, cv2.FILLED if layer.filled else 2
        )
        cv2.putText(strip, text, (left + 18, 16), _FONT, 0.42, _TEXT, 1, cv2.LINE_AA)
        left += 34 + cv2.getTextSize(text, _FONT, 0.42, 1)[0][0]
