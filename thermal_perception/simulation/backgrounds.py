"""Ground and far backdrop as a camera sees them: two planes warped into the picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TYPE_CHECKING

import cv2
import numpy as np

from thermal_perception.simulation.terrain import MIP_STEP, SKY, VEGETATION

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thermal_perception.simulation.actors import World
    from thermal_perception.simulation.raster import View
    from thermal_perception.simulation.terrain import Backdrop, Ground

COARSE = 8  # distances to the ground are computed for blocks of 8 x 8 pixels
BAND_ROWS = 16


@dataclass(frozen=True, eq=False)
class Outlook:
    """Where the far backdrop stands.

    Attributes:
        position: (3,) world, from where its distance is measured.
        ahead: (3,) level unit vector towards it.
    """

    position: NDArray[np.float64]
    ahead: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Horizon:
    """Which pixels see the ground, and how far away it is.

    Attributes:
        is_ground: (H, W) bool, true where the ground is nearer than the backdrop.
        distance_m: float32 along the line of sight, per block of 8 x 8 pixels and for one block
            more; the backdrop's where no ground is.
        first_ground_row: the topmost row with ground.
        last_beyond_row: one past the lowest row that sees more than ground.
    """

    is_ground: NDArray[np.bool_]
    distance_m: NDArray[np.float32]
    first_ground_row: int
    last_beyond_row: int

    def fine(self, coarse: NDArray[np.float32]) -> NDArray[np.float32]:
        """Interpolate something computed from `distance_m` to all pixels, (H, W) float32."""
        height, width = self.is_ground.shape
        size = (coarse.shape[1] * COARSE, coarse.shape[0] * COARSE)
        return np.asarray(cv2.resize(coarse, size)[:height, :width], np.float32)

    def transmission(self, extinction_per_m: float) -> NDArray[np.float32]:
        """(H, W) float32 share of light that comes through the air, 0..1."""
        return self.fine(np.exp(np.float32(-extinction_per_m) * self.distance_m))


def horizon(view: View, backdrop_m: float) -> Horizon:
    """Find the ground."""
    height, width = view.size
    eye = view.position[2]
    is_ground = _fall(view, np.arange(height), np.arange(width)) > eye / backdrop_m
    # Resizing puts coarse samples in the middles of blocks, not at their first pixels.
    rows = np.arange(0, height + COARSE, COARSE) + (COARSE - 1) / 2
    columns = np.arange(0, width + COARSE, COARSE) + (COARSE - 1) / 2
    x = (columns - view.K[0, 2]) / view.K[0, 0]
    y = (rows - view.K[1, 2]) / view.K[1, 1]
    slant = np.sqrt(1.0 + x[None] ** 2 + y[:, None] ** 2)
    fall = np.maximum(_fall(view, rows, columns), 1e-6)
    distance = (np.minimum(eye / fall, backdrop_m) * slant).astype(np.float32)
    some, every = is_ground.any(1), is_ground.all(1)
    first = int(some.argmax()) if some.any() else height
    beyond = np.flatnonzero(~every)
    return Horizon(is_ground, distance, first, int(beyond[-1]) + 1 if len(beyond) else 0)


def over_ground(
    levels: list[NDArray[Any]],
    beyond: NDArray[Any],
    world: World,
    view: View,
    seen: Horizon,
    *,
    outlook: Outlook,
) -> NDArray[Any]:
    """Ground from its map pyramid with the far backdrop `beyond` behind it; (H, W[, 3])."""
    image = warp_ground(levels, world.ground, view, first_row=seen.first_ground_row)
    rows = seen.last_beyond_row
    if rows:
        far = warp_backdrop(beyond, world.backdrop, view, outlook=outlook, rows=rows)
        is_far = ~seen.is_ground[:rows]
        np.copyto(image[:rows], far, where=is_far if far.ndim == 2 else is_far[:, :, None])
    return image


def warp_ground(
    levels: list[NDArray[Any]], ground: Ground, view: View, *, first_row: int = 0
) -> NDArray[Any]:
    """View one of the ground's map pyramids from the camera; (H, W[, 3]).

    Rows take the pyramid level that fits the distance they see. Above `first_row` and above the
    horizon the result means nothing.
    """
    to_world = np.linalg.inv(_plane_to_pixels(view, np.eye(3)[:, [0, 1]], np.zeros(3)))
    height, width = view.size
    shape = (height, width, *levels[0].shape[2:])
    out = np.empty(shape, levels[0].dtype)
    chosen = _levels_by_band(view, ground.resolution_m, len(levels))
    start = 0
    for stop in range(1, len(chosen) + 1):
        if stop < len(chosen) and chosen[stop] == chosen[start]:
            continue
        top, bottom = max(start * BAND_ROWS, first_row), min(stop * BAND_ROWS, height)
        if bottom > top:
            M = _map_pixels(ground, chosen[start]) @ to_world @ _down(top)
            out[top:bottom] = _warp(levels[chosen[start]], M, (bottom - top, width))
        start = stop
    return out


def warp_labels(ground: Ground, view: View) -> NDArray[np.uint8]:
    """Semantic labels of the ground, nearest neighbour."""
    to_world = np.linalg.inv(_plane_to_pixels(view, np.eye(3)[:, [0, 1]], np.zeros(3)))
    M = _map_pixels(ground, 0) @ to_world
    return _warp(ground.labels, M, view.size, interpolation=cv2.INTER_NEAREST)


def warp_backdrop(
    image: NDArray[Any],
    backdrop: Backdrop,
    view: View,
    *,
    outlook: Outlook,
    rows: int | None = None,
    interpolation: int = cv2.INTER_LINEAR,
) -> NDArray[Any]:
    """View the upright far plane, all or the topmost `rows` of the picture.

    The plane's picture goes on to both sides by mirroring.
    """
    columns = image.shape[1]
    # Picture columns run to the right; rows run down from the top.
    ahead, left = outlook.ahead, np.array([-outlook.ahead[1], outlook.ahead[0], 0.0])
    axes = np.column_stack((-left, [0.0, 0.0, -1.0])) * backdrop.resolution_m
    corner = outlook.position + ahead * backdrop.distance_m
    corner = corner + left * 0.5 * columns * backdrop.resolution_m
    corner[2] = image.shape[0] * backdrop.resolution_m
    M = np.linalg.inv(_plane_to_pixels(view, axes, corner))
    height, width = view.size
    size = (width, height if rows is None else rows)
    flags = interpolation | cv2.WARP_INVERSE_MAP
    return cv2.warpPerspective(image, M, size, flags=flags, borderMode=cv2.BORDER_REFLECT)


def background_labels(
    ground: Ground, backdrop: Backdrop, view: View, is_ground: NDArray[np.bool_], outlook: Outlook
) -> NDArray[np.uint8]:
    """(H, W) semantic labels where no object stands."""
    labels = warp_labels(ground, view)
    if not is_ground.all():
        sky = warp_backdrop(
            backdrop.is_sky, backdrop, view, outlook=outlook, interpolation=cv2.INTER_NEAREST
        )
        beyond = np.where(sky > 0, np.uint8(SKY), np.uint8(VEGETATION))
        np.copyto(labels, beyond, where=~is_ground)
    return labels


def _fall(view: View, rows: NDArray[Any], columns: NDArray[Any]) -> NDArray[np.float32]:
    """How steeply the lines of sight at (rows x columns) go down, per metre of depth."""
    down = -view.T_camera_world[:3, 2]  # world's -z in the camera's frame
    x = (columns - view.K[0, 2]) / view.K[0, 0] * down[0]
    y = (rows - view.K[1, 2]) / view.K[1, 1] * down[1] + down[2]
    return np.add.outer(y.astype(np.float32), x.astype(np.float32))


def _plane_to_pixels(
    view: View, axes: NDArray[np.float64], corner: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(3, 3) homography from coordinates on a plane, `corner + axes @ (a, b)`, to pixels."""
    R, t = view.T_camera_world[:3, :3], view.T_camera_world[:3, 3]
    return view.K @ np.column_stack([R @ axes, R @ corner + t])


def _map_pixels(ground: Ground, level: int) -> NDArray[np.float64]:
    """(3, 3) from world metres to pixels of a pyramid level."""
    scale = 1.0 / (ground.resolution_m * MIP_STEP**level)
    half = 0.5 * (1.0 - 1.0 / MIP_STEP**level)  # centres of coarser pixels lie between
    x, y = ground.origin_m
    return np.array([[scale, 0, -x * scale - half], [0, scale, -y * scale - half], [0, 0, 1.0]])


def _down(rows: int) -> NDArray[np.float64]:
    return np.array([[1.0, 0, 0], [0, 1.0, rows], [0, 0, 1.0]])


def _levels_by_band(view: View, resolution_m: float, levels: int) -> list[int]:
    """Pyramid level per band of rows: map pixels about as large as image pixels there."""
    height, width = view.size
    rows = np.arange(0, height, BAND_ROWS) + BAND_ROWS / 2
    fall = np.maximum(_fall(view, rows, np.array([width / 2]))[:, 0], 1e-3)
    depth = view.position[2] / fall
    # A pixel covers depth / f across and depth / (f * fall) along the ground.
    footprint = depth / view.K[0, 0] / np.sqrt(np.clip(fall, 0.02, 1.0))
    level = np.floor(np.log2(np.maximum(footprint / resolution_m, 1e-6)) + 0.35)
    return np.clip(level, 0, levels - 1).astype(int).tolist()


def _warp(
    image: NDArray[Any],
    M: NDArray[np.float64],
    size: tuple[int, int],
    *,
    interpolation: int = cv2.INTER_LINEAR,
) -> NDArray[Any]:
    """Look up `image` at `M @ pixel`; the map repeats at its edges."""
    flags = interpolation | cv2.WARP_INVERSE_MAP
    return cv2.warpPerspective(image, M, size[::-1], flags=flags, borderMode=cv2.BORDER_WRAP)
