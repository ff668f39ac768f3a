"""A thermal picture: temperatures of what is seen, through air, lens, detector and AGC."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np

from thermal_perception.simulation import backgrounds
from thermal_perception.simulation.radiometry import seen_kelvin, to_counts
from thermal_perception.simulation.sampling import gather, look_up, surface_texture
from thermal_perception.simulation.shapes import EMISSIVITY, KELVIN, OPACITY

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thermal_perception.simulation.actors import World
    from thermal_perception.simulation.backgrounds import Horizon, Outlook
    from thermal_perception.simulation.camera import Agc, ThermalSensor
    from thermal_perception.simulation.climate import Climate
    from thermal_perception.simulation.raster import Projected, View

NOISE_TILE = 1024
ROUND_SUNLIT = 0.4  # round things have a sunny and a shady side
BINS = 2048
SHARPEN_PX = 1.6  # width of the detail that AGC boosts


def scene_kelvin(
    projected: Projected,
    numbers: NDArray[np.uint16],
    world: World,
    view: View,
    ground_is: Horizon,
    *,
    outlook: Outlook,
    scale: int,
) -> NDArray[np.float32]:
    """Apparent temperatures before the lens, (H, W) float32 kelvin."""
    background = _background(world, view, ground_is, outlook)
    surfaces = _surface_values(projected, world.climate)
    kelvin, opacity = look_up(surfaces, numbers, view.size, scale)
    image = kelvin + background - background * opacity
    haze = world.climate.thermal_extinction_per_m
    image += surface_texture(projected, numbers, scale, extinction_per_m=haze)
    return image


def _background(
    world: World, view: View, ground_is: Horizon, outlook: Outlook
) -> NDArray[np.float32]:
    levels, beyond = world.ground.kelvin_levels, world.backdrop.kelvin
    climate = world.climate
    image: NDArray[np.float32] = backgrounds.over_ground(
        levels, beyond, world, view, ground_is, outlook=outlook
    )
    # The air is linear in temperature here; over a street's range the error is below 0.1 K.
    image -= np.float32(climate.air)
    image *= ground_is.transmission(climate.thermal_extinction_per_m)
    image += np.float32(climate.air)
    return image


def _surface_values(projected: Projected, climate: Climate) -> NDArray[np.float32]:
    """(N + 1, 2) apparent kelvin times opacity, and opacity; row 0 is the empty pixel."""
    values = np.zeros((len(projected.surfaces) + 1, 2), np.float32)
    surfaces, up = projected.surfaces, projected.normals[:, 2]
    solid = surfaces[:, OPACITY] > 0
    sunlit = np.clip(projected.normals @ climate.sun_direction, 0.0, 1.0)
    sunlit[~projected.normals.any(1)] = ROUND_SUNLIT
    kelvin = surfaces[:, KELVIN] + climate.sun_k * sunlit - climate.cooling_k * np.clip(up, 0, 1)
    # A level face mirrors the zenith, an upright one the street and the horizon half and half.
    sky_share = np.clip(0.5 + 0.5 * up, 0.0, 1.0)
    street = 0.5 * (climate.road + climate.wall)
    sky = climate.horizon + (climate.zenith - climate.horizon) * np.clip(up, 0.0, 1.0)
    mirrored = street + (sky - street) * sky_share
    transmission = np.exp(-climate.thermal_extinction_per_m * projected.depths)
    seen = seen_kelvin(
        np.where(solid, kelvin, climate.air),
        emissivity=surfaces[:, EMISSIVITY],
        reflected_kelvin=mirrored,
        air_kelvin=climate.air,
        transmission=transmission,
    )
    tint = surfaces[:, KELVIN] * transmission
    values[1:, 0] = np.where(solid, seen, tint)
    values[1:, 1] = solid
    return values


def detect(
    kelvin: NDArray[np.float32], sensor: ThermalSensor, time_s: float
) -> NDArray[np.float32]:
    """Blur by the lens, then add fixed pattern and noise; the same time gives the same noise."""
    if sensor.blur_px > 0:
        soft = cv2.GaussianBlur(kelvin, (0, 0), sensor.blur_px, borderType=cv2.BORDER_REPLICATE)
        kelvin = np.asarray(soft, np.float32)
    last = sensor.last_ffc_s(time_s)
    age = time_s - (last if last is not None else 0.0)
    growth = sensor.pattern_k + sensor.drift_k_per_s * max(age, 0.0)
    noisy = kelvin + growth * _fixed_pattern(kelvin.shape, sensor.seed)
    if sensor.netd_k > 0:
        noisy += sensor.netd_k * _noise(kelvin.shape, sensor.seed, time_s)
    return noisy


@lru_cache(maxsize=8)
def _fixed_pattern(shape: tuple[int, int], seed: int) -> NDArray[np.float32]:
    """Columns, rows, single pixels and a slow shading, about 1 RMS."""
    rng = np.random.default_rng([seed, 1])
    height, width = shape
    columns = rng.standard_normal((1, width), np.float32)
    rows = rng.standard_normal((height, 1), np.float32)
    pixels = rng.standard_normal(shape, np.float32)
    slow = cv2.resize(rng.standard_normal((4, 5), np.float32), (width, height), interpolation=2)
    return np.asarray(0.55 * columns + 0.3 * rows + 0.5 * pixels + 0.6 * slow, np.float32)


@lru_cache(maxsize=2)
def _noise_tile(seed: int) -> NDArray[np.float32]:
    rng = np.random.default_rng([seed, 2])
    tile = rng.standard_normal((NOISE_TILE, NOISE_TILE), np.float32)
    return np.tile(tile, (2, 2))


def _noise(shape: tuple[int, int], seed: int, time_s: float) -> NDArray[np.float32]:
    """White noise cut from one big tile at a place that depends on the time."""
    rng = np.random.default_rng([seed, 3, abs(round(time_s * 1e6))])
    if shape[0] > NOISE_TILE or shape[1] > NOISE_TILE:
        return rng.standard_normal(shape, np.float32)
    y, x = rng.integers(NOISE_TILE, size=2)
    return _noise_tile(seed)[y : y + shape[0], x : x + shape[1]]


def expose(
    kelvin: NDArray[np.float32], sensor: ThermalSensor, bits: int
) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Turn detected temperatures into the picture the camera sends."""
    if bits == 16:
        return to_counts(kelvin, sensor.counts)
    return apply_agc(kelvin, sensor.agc)


def apply_agc(kelvin: NDArray[np.float32], agc: Agc) -> NDArray[np.uint8]:
    """Automatic gain as thermal cameras do it, to (H, W) uint8."""
    low, high = float(kelvin.min()), float(kelvin.max())
    if high - low < 1e-3:
        return np.full(kelvin.shape, round(255 * agc.middle), np.uint8)
    levels = (kelvin - low) * ((BINS - 1) / (high - low))
    codes = levels.astype(np.uint16)
    histogram = np.bincount(codes[::2, ::2].ravel(), minlength=BINS).astype(np.float64)
    curve = _tone_curve(histogram, (high - low) / BINS, agc)
    image = gather(curve.astype(np.float32), codes)
    if agc.sharpen > 0:
        soft = cv2.GaussianBlur(image, (7, 7), SHARPEN_PX)
        image += np.float32(agc.sharpen) * (image - soft)
    np.maximum(image, 0.0, out=image)
    return np.asarray(cv2.convertScaleAbs(image), np.uint8)


def _tone_curve(histogram: NDArray[np.float64], bin_k: float, agc: Agc) -> NDArray[np.float64]:
    """Grey value per bin: a mixture of stretching and plateau equalisation."""
    share = histogram / histogram.sum()
    total = np.cumsum(share)
    first, middle, last = np.searchsorted(total, [agc.tails, 0.5, 1.0 - agc.tails])
    bins = np.arange(len(histogram))
    fill = min(1.0, max(last - first, 1) * bin_k / agc.least_span_k)
    linear = np.clip((bins - first) / max(last - first, 1), 0.0, 1.0)
    median = np.clip(linear[middle], 0.05, 0.95)
    gamma = np.clip(np.log(agc.middle) / np.log(median), 0.6, 1.7)
    equal = np.cumsum(np.minimum(share, agc.plateau))
    curve = (1 - agc.equalise) * linear**gamma + agc.equalise * equal / equal[-1]
    curve = agc.middle + (curve - curve[middle]) * fill if fill < 1.0 else curve
    return np.clip(curve, 0.0, 1.0) * 250.0 + 2.0
