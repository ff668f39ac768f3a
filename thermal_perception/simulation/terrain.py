"""The ground as a map seen from above, and the far backdrop with the sky.

A map is cheap to view from any camera: a plane goes to pixels by a homography.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import ArrayLike, NDArray

    from thermal_perception.simulation.climate import Climate

SEMANTIC_NAMES = (
    'unlabelled',
    'road',
    'pavement',
    'vegetation',
    'building',
    'sky',
    'street_furniture',
    'person',
    'car',
    'bicycle',
    'other_vehicle',
)
ROAD, PAVEMENT, VEGETATION, BUILDING, SKY, FURNITURE = range(1, 7)
FIRST_CLASS = 7  # semantic label of CLASS_NAMES[0]

GROUND_BGR = {
    ROAD: (0.27, 0.27, 0.26),
    PAVEMENT: (0.50, 0.53, 0.55),
    VEGETATION: (0.16, 0.33, 0.24),
}
MIP_STEP = 2
MIP_LEVELS = 5
GRAIN = 0.35  # share of a label's roughness that is as fine as the map


@dataclass(frozen=True, eq=False)
class Ground:
    """Maps of the level ground; rows go along y, columns along x.

    Attributes:
        kelvin: (rows, columns) float32 temperatures as seen from above.
        labels: (rows, columns) uint8 indices into `SEMANTIC_NAMES`.
        light: (rows, columns) float32 albedo added to the label's own.
        noise_seed: of the colours' patchiness.
        origin_m: (x, y) of the first pixel's centre, world frame.
        resolution_m: size of a map pixel.
    """

    kelvin: NDArray[np.float32]
    labels: NDArray[np.uint8]
    light: NDArray[np.float32]
    noise_seed: int
    origin_m: tuple[float, float]
    resolution_m: float

    @cached_property
    def kelvin_levels(self) -> list[NDArray[np.float32]]:
        """`kelvin` at full, half, quarter ... resolution."""
        return _pyramid(self.kelvin)

    @cached_property
    def bgr(self) -> NDArray[np.uint8]:
        """(rows, columns, 3) uint8 albedo; made when a colour camera first looks."""
        rng, shape = np.random.default_rng(self.noise_seed), self.labels.shape
        patchy = 1.0 + 0.10 * smooth_noise(rng, shape, round(4.0 / self.resolution_m))
        patchy += 0.07 * tiled_grain(rng, shape)
        channels = []
        for channel in range(3):
            table = np.zeros(256, np.float32)
            for label, bgr in GROUND_BGR.items():
                table[label] = bgr[channel]
            albedo = cv2.LUT(self.labels, table) * patchy + self.light
            channels.append(cv2.convertScaleAbs(np.maximum(albedo, 0.0), alpha=255.0))
        return np.asarray(cv2.merge(channels), np.uint8)

    @cached_property
    def bgr_levels(self) -> list[NDArray[np.uint8]]:
        """`bgr` at full, half, quarter ... resolution."""
        return _pyramid(self.bgr)


@dataclass(frozen=True, eq=False)
class Backdrop:
    """What stands beyond the modelled world: a far upright picture ahead, and the sky over it.

    Attributes:
        kelvin: (rows, columns) float32; the first row is the top.
        bgr: (rows, columns, 3) uint8 as it looks, not albedo.
        is_sky: (rows, columns) uint8, 1 where nothing hides the sky.
        distance_m: from the base, along world x.
        resolution_m: size of a pixel.
    """

    kelvin: NDArray[np.float32]
    bgr: NDArray[np.uint8]
    is_sky: NDArray[np.uint8]
    distance_m: float
    resolution_m: float


class GroundPainter:
    """Paints a ground map: first what is where, then how warm it is."""

    def __init__(
        self,
        rng: Generator,
        climate: Climate,
        *,
        size_m: tuple[float, float],
        origin_m: tuple[float, float],
        resolution_m: float,
    ) -> None:
        """Start with lawn everywhere; `size_m` is along (x, y)."""
        shape = (round(size_m[1] / resolution_m), round(size_m[0] / resolution_m))
        self.rng, self.climate = rng, climate
        self.origin_m, self.resolution_m = origin_m, resolution_m
        self.labels = np.full(shape, VEGETATION, np.uint8)
        self.extra = np.zeros(shape, np.float32)
        self.lines = np.zeros(shape, np.float32)
        self.light = np.zeros(shape, np.float32)

    def fill(self, corners_m: ArrayLike, label: int) -> None:
        """Give a polygon's inside a label."""
        cv2.fillPoly(self.labels, [self._pixels(corners_m)], label)

    def stroke(self, points_m: ArrayLike, width_m: float, label: int) -> None:
        """Give a band along a line a label."""
        width = max(1, round(width_m / self.resolution_m))
        cv2.polylines(self.labels, [self._pixels(points_m)], False, label, width)

    def warm(self, corners_m: ArrayLike, kelvin: float, *, soft_m: float = 0.0) -> None:
        """Add temperature inside a polygon, with a soft edge."""
        self._add(self.extra, corners_m, kelvin, soft_m)

    def brighten(self, corners_m: ArrayLike, albedo: float) -> None:
        """Add albedo inside a polygon."""
        self._add(self.light, corners_m, albedo, 0.0)

    def warm_stroke(
        self, points_m: ArrayLike, width_m: float, kelvin: float, albedo: float = 0
    ) -> None:
        """Give a thin line its own temperature difference and albedo; later lines replace."""
        pixels, width = [self._pixels(points_m)], max(1, round(width_m / self.resolution_m))
        cv2.polylines(self.lines, pixels, False, float(kelvin), width)
        if albedo:
            cv2.polylines(self.light, pixels, False, float(albedo), width)

    def finish(self) -> Ground:
        """Give every label its temperature and colour, add the patchiness of real ground."""
        # Heat creeps sideways: no edge in the ground is sharper than a decimetre.
        soft = cv2.GaussianBlur(self._levels() + self.lines, (0, 0), 0.9)
        kelvin = np.asarray(soft, np.float32)
        kelvin += self.extra
        kelvin += self._patchiness()
        noise_seed = int(self.rng.integers(2**31))
        return Ground(
            kelvin, self.labels, self.light, noise_seed, self.origin_m, self.resolution_m
        )

    def _levels(self) -> NDArray[np.float32]:
        levels = np.zeros(256, np.float32)
        levels[ROAD], levels[PAVEMENT] = self.climate.road, self.climate.pavement
        levels[VEGETATION] = self.climate.grass
        return np.asarray(cv2.LUT(self.labels, levels), np.float32)

    def _patchiness(self) -> NDArray[np.float32]:
        shape = self.labels.shape
        rough, clumpy = np.zeros(256, np.float32), np.zeros(256, np.float32)
        rough[ROAD], rough[PAVEMENT], rough[VEGETATION] = 0.38, 0.4, 1.0
        clumpy[VEGETATION] = 0.8
        wide = smooth_noise(self.rng, shape, round(16.0 / self.resolution_m))
        fine = smooth_noise(self.rng, shape, max(2, round(1.3 / self.resolution_m)))
        noise = 0.45 * wide + 0.14 * fine + GRAIN * tiled_grain(self.rng, shape)
        noise *= np.asarray(cv2.LUT(self.labels, rough), np.float32)
        clumps = np.asarray(cv2.LUT(self.labels, clumpy), np.float32) * np.maximum(fine, 0.0)
        return np.asarray(noise + clumps, np.float32)

    def _pixels(self, corners_m: ArrayLike) -> NDArray[np.int32]:
        points = (np.asarray(corners_m, np.float64) - self.origin_m) / self.resolution_m
        return np.rint(points).astype(np.int32)

    def _add(self, image: NDArray, corners_m: ArrayLike, value: float, soft_m: float) -> None:
        pixels = self._pixels(corners_m)
        margin = round(3 * soft_m / self.resolution_m) + 1
        rows, columns = image.shape
        x0, y0 = np.maximum(pixels.min(0) - margin, 0)
        x1, y1 = np.minimum(pixels.max(0) + margin + 1, (columns, rows))
        if x1 <= x0 or y1 <= y0:
            return
        patch = np.zeros((y1 - y0, x1 - x0), np.float32)
        cv2.fillPoly(patch, [pixels - (x0, y0)], float(value))
        if soft_m > 0:
            patch = cv2.GaussianBlur(patch, (0, 0), soft_m / self.resolution_m)
        image[y0:y1, x0:x1] += patch


def smooth_noise(rng: Generator, shape: tuple[int, int], cell: int) -> NDArray[np.float32]:
    """Normal noise with features of about `cell` pixels that joins at opposite edges."""
    rows, columns = (max(2, -(-s // cell)) for s in shape)
    small = rng.standard_normal((rows, columns), np.float32)
    small = np.pad(small, 2, mode='wrap')
    big = cv2.resize(small, None, fx=cell, fy=cell, interpolation=cv2.INTER_CUBIC)
    cut = big[2 * cell : 2 * cell + rows * cell, 2 * cell : 2 * cell + columns * cell]
    return cv2.resize(cut, shape[::-1], interpolation=cv2.INTER_LINEAR) * 1.25


def tiled_grain(rng: Generator, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Fine noise, one tile repeated; drawing every pixel afresh would cost seconds."""
    tile = cv2.GaussianBlur(rng.standard_normal((509, 509), np.float32), (0, 0), 0.8) * 2.4
    repeats = [-(-s // 509) for s in shape]
    return np.tile(tile, repeats)[: shape[0], : shape[1]]


def paint_backdrop(rng: Generator, climate: Climate) -> Backdrop:
    """A line of trees and roofs under a sky that warms towards the horizon, with clouds."""
    resolution, distance, shape = 0.4, 300.0, (400, 1900)
    height_m = (shape[0] - np.arange(shape[0], dtype=np.float32)) * resolution
    elevation = np.rad2deg(np.arctan2(height_m, distance))
    fall = np.exp(-elevation / 9.0)
    column = climate.zenith * 0.75 + climate.air * 0.25
    sky = (column + (climate.horizon - column) * fall)[:, None]
    clouds = np.clip(_clouds(rng, shape), 0.0, 1.5)
    kelvin = np.asarray(sky + climate.cloud_k * clouds * (1 - 0.5 * fall[:, None]), np.float32)
    bgr = _sky_colours(climate, elevation, clouds)
    is_sky = np.ones(shape, np.uint8)
    for top_m, label_k, albedo in _skylines(rng, climate, shape[1]):
        below = height_m[:, None] < top_m[None, :]
        texture = 0.5 * smooth_noise(rng, shape, 5) + 0.4 * smooth_noise(rng, shape, 2)
        kelvin = np.where(below, label_k + texture, kelvin)
        is_sky[below] = 0
        light = climate.condition.skylight + 0.5 * climate.condition.sunlight
        colour = np.asarray(albedo) * light * (1 + 0.15 * texture[:, :, None])
        bgr = np.where(below[:, :, None], colour, bgr)
    picture = np.clip(bgr * 255.0, 0, 255).astype(np.uint8)
    return Backdrop(kelvin.astype(np.float32), picture, is_sky, distance, resolution)


def _clouds(rng: Generator, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Bands, longer than high, as clouds near the horizon look."""
    wide = smooth_noise(rng, (shape[0], shape[1] // 5), 40)
    fine = smooth_noise(rng, (shape[0], shape[1] // 5), 12)
    return cv2.resize(wide + 0.5 * fine, shape[::-1]) - 0.2


def _sky_colours(
    climate: Climate, elevation: NDArray[np.float32], clouds: NDArray[np.float32]
) -> NDArray[np.float32]:
    sky = np.asarray(climate.condition.sky_bgr, np.float32)
    pale = np.exp(-elevation / 12.0)[:, None, None]
    clear = sky * (1.0 - 0.25 * (1 - pale)) + 0.12 * sky.mean() * pale
    white = np.clip(clouds, 0, 1)[:, :, None] * 0.35
    return np.asarray(clear * (1 - white) + white * sky.max() * 0.95, np.float32)


def _skylines(
    rng: Generator, climate: Climate, columns: int
) -> list[tuple[NDArray[np.float32], float, tuple[float, float, float]]]:
    """(outline in metres per column, kelvin, albedo), far to near: hills, roofs, trees."""
    hills = 9.0 + 7.0 * smooth_noise(rng, (2, columns), 300)[0]
    steps = np.repeat(rng.uniform(0.0, 22.0, columns // 34 + 1), 34)[:columns]
    roofs = np.where(rng.random(columns // 34 + 1).repeat(34)[:columns] < 0.45, steps, 0.0)
    trees = 8.0 + 2.5 * smooth_noise(rng, (2, columns), 40)[0]
    trees = trees + 1.2 * smooth_noise(rng, (2, columns), 5)[0]
    haze = 0.5 * (climate.air + climate.horizon)
    return [
        (hills.astype(np.float32), 0.5 * haze + 0.5 * climate.foliage, (0.33, 0.36, 0.30)),
        (roofs.astype(np.float32), climate.wall - 0.5, (0.42, 0.44, 0.46)),
        (trees.astype(np.float32), climate.foliage, (0.14, 0.24, 0.17)),
    ]


def _pyramid(image: NDArray) -> list[NDArray]:
    levels = [image]
    for _ in range(MIP_LEVELS - 1):
        last = levels[-1]
        size = (max(1, last.shape[1] // MIP_STEP), max(1, last.shape[0] // MIP_STEP))
        levels.append(cv2.resize(last, size, interpolation=cv2.INTER_AREA))
    return levels
