"""A colour picture: sun, sky and lamps on the same surfaces, through fog, glare and exposure.

Light is linear, 1 = full exposure on a white surface in the sun, until the last step.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np

from thermal_perception.simulation import backgrounds
from thermal_perception.simulation.sampling import look_up, surface_texture
from thermal_perception.simulation.shapes import BLUE, GLOW, OPACITY, RED

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thermal_perception.simulation.actors import World
    from thermal_perception.simulation.backgrounds import Horizon, Outlook
    from thermal_perception.simulation.camera import RgbSensor
    from thermal_perception.simulation.climate import Climate
    from thermal_perception.simulation.raster import Projected, View

STREET_LIGHT = 0.010  # of lamps that shine on everything a little
HEADLIGHT = 0.22  # of the base's own, ten metres ahead
HEADLIGHT_REACH_M = 22.0
BEAM_HALF_RAD = 0.42
LIT_ROUND_SHARE = 0.4  # round things have a sunny and a shady side
TARGET = 0.20  # mean exposed light of a well-exposed picture
MAX_GAIN = 5.0
GLARE_COARSE = 8  # halos are smooth and drawn on every 8th pixel
LAMP = 2.5  # surfaces that glow more than this can dazzle
TEXTURE_CONTRAST = 0.25  # of albedo, per kelvin of thermal texture
NOISE_TILE = 1200


def scene_light(
    projected: Projected,
    numbers: NDArray[np.uint16],
    world: World,
    view: View,
    ground_is: Horizon,
    *,
    outlook: Outlook,
    scale: int,
) -> list[NDArray[np.float32]]:
    """Light that reaches the lens: B, G and R planes (H, W) float32, dazzling lamps included."""
    climate = world.climate
    planes = _background(world, view, ground_is, outlook)
    values = _surface_values(projected, climate, view)
    *colours, opacity = look_up(values, numbers, view.size, scale)
    fog = climate.rgb_extinction_per_m
    shade = surface_texture(projected, numbers, scale, extinction_per_m=fog)
    shade *= TEXTURE_CONTRAST
    shade += 1.0
    clear = 1.0 - opacity
    halo = None
    if climate.condition.glare > 0:
        halo = _glare(projected, numbers, climate, view, scale)
    for plane, colour in zip(planes, colours):
        plane *= clear
        plane += colour * shade
        np.maximum(plane, 0.0, out=plane)
        if halo is not None:
            plane += halo
    return planes


def _background(
    world: World, view: View, ground_is: Horizon, outlook: Outlook
) -> list[NDArray[np.float32]]:
    climate = world.climate
    levels, beyond = world.ground.bgr_levels, world.backdrop.bgr
    picture = backgrounds.over_ground(levels, beyond, world, view, ground_is, outlook=outlook)
    clear = ground_is.transmission(climate.rgb_extinction_per_m)
    # The far backdrop is painted as it looks; only the ground needs light.
    light = np.where(ground_is.is_ground, _ground_light(climate, view, ground_is), 1.0)
    gain = cv2.multiply(light.astype(np.float32), clear, scale=1.0 / 255.0)
    veil = 1.0 - clear
    air = _air_light(climate)
    planes = []
    for channel, plane in enumerate(cv2.split(picture)):
        lit = cv2.multiply(plane, gain, dtype=cv2.CV_32F)
        hazy = cv2.scaleAdd(veil, float(air[channel]), lit)
        planes.append(np.asarray(hazy, np.float32))
    return planes


def _ground_light(
    climate: Climate, view: View, ground_is: Horizon
) -> NDArray[np.float32] | np.float32:
    condition = climate.condition
    light = condition.skylight + condition.sunlight * max(float(climate.sun_direction[2]), 0.0)
    if not climate.lamps:
        return np.float32(light)
    columns = (np.arange(view.size[1], dtype=np.float32) - view.K[0, 2]) / view.K[0, 0]
    beam = np.exp(-((np.arctan(columns) / BEAM_HALF_RAD) ** 2))[None].astype(np.float32)
    return light + STREET_LIGHT + beam * ground_is.fine(_headlight(ground_is.distance_m))


def _headlight(distance_m: NDArray[np.float32]) -> NDArray[np.float32]:
    """The base's own headlights: dark right before the bumper, then falling off."""
    near = 1.0 - np.exp(-((distance_m / 6.0) ** 2))
    return np.asarray(HEADLIGHT * near * np.exp(-distance_m / HEADLIGHT_REACH_M), np.float32)


def _air_light(climate: Climate) -> NDArray[np.float32]:
    """What thick air looks like by itself."""
    condition = climate.condition
    sky = np.asarray(condition.sky_bgr, np.float32)
    lamps = STREET_LIGHT if climate.lamps else 0.0
    return sky * np.float32(min(1.0, condition.skylight + 0.6 * condition.sunlight) + lamps)


def _surface_values(projected: Projected, climate: Climate, view: View) -> NDArray[np.float32]:
    """(N + 1, 4) light to the lens in B, G, R and opacity; row 0 is the empty pixel."""
    values = np.zeros((len(projected.surfaces) + 1, 4), np.float32)
    surfaces, condition = projected.surfaces, climate.condition
    up = projected.normals[:, 2]
    sunlit = np.clip(projected.normals @ climate.sun_direction, 0.0, 1.0)
    sunlit[~projected.normals.any(1)] = LIT_ROUND_SHARE
    light = condition.skylight * (0.65 + 0.35 * up) + condition.sunlight * sunlit
    if climate.lamps:
        slope = (0.5 * (projected.low + projected.high)[:, 0] - view.K[0, 2]) / view.K[0, 0]
        beam = np.exp(-((np.arctan(slope) / BEAM_HALF_RAD) ** 2))
        light = light + STREET_LIGHT + beam * _headlight(projected.depths)
    glow = surfaces[:, GLOW] * climate.lamps
    colour = surfaces[:, BLUE : RED + 1] * (light + glow)[:, None]
    clear = np.exp(-climate.rgb_extinction_per_m * projected.depths)[:, None]
    solid = surfaces[:, OPACITY : OPACITY + 1] > 0
    values[1:, :3] = colour * clear + np.where(solid, (1.0 - clear) * _air_light(climate), 0.0)
    values[1:, 3] = solid[:, 0]
    return values


def _glare(
    projected: Projected,
    numbers: NDArray[np.uint16],
    climate: Climate,
    view: View,
    scale: int,
) -> NDArray[np.float32]:
    """(H, W) light scattered in the lens round every visible lamp that points at the camera."""
    height, width = view.size
    canvas = np.zeros((-(-height // GLARE_COARSE), -(-width // GLARE_COARSE)), np.float32)
    rows, columns = np.mgrid[: canvas.shape[0], : canvas.shape[1]].astype(np.float32)
    lamps = np.flatnonzero(projected.surfaces[:, GLOW] > LAMP)
    for index in lamps.tolist():
        u, v = 0.5 * (projected.low[index] + projected.high[index])
        x, y = int((u + 0.5) * scale), int((v + 0.5) * scale)
        inside = 0 <= x < numbers.shape[1] and 0 <= y < numbers.shape[0]
        if not inside or abs(int(numbers[y, x]) - 1 - index) > 1:
            continue
        power = _dazzle(projected, climate, index)
        reach = 0.02 * width / GLARE_COARSE
        far2 = (columns - u / GLARE_COARSE) ** 2 + (rows - v / GLARE_COARSE) ** 2
        canvas += power * (1.0 + far2 / reach**2) ** -1.15
    halo = cv2.resize(canvas, None, fx=GLARE_COARSE, fy=GLARE_COARSE)
    return np.asarray(halo[:height, :width], np.float32)


def _dazzle(projected: Projected, climate: Climate, index: int) -> float:
    """Light of one lamp's halo in its middle; falls with distance and with fog."""
    depth = float(projected.depths[index])
    clear = float(np.exp(-climate.rgb_extinction_per_m * depth))
    return climate.condition.glare * 2.0 * clear / (1.0 + (depth / 28.0) ** 2)


def expose(
    light: list[NDArray[np.float32]], sensor: RgbSensor, time_s: float
) -> NDArray[np.uint8]:
    """Blur by the lens, expose, code by square root, add noise; (H, W, 3) uint8 B, G, R."""
    mean = float(np.mean([np.minimum(plane[::8, ::8], 1.0).mean() for plane in light]))
    gain = sensor.exposure * min(TARGET / max(mean, 1e-4), MAX_GAIN)
    noise = _noise(light[0].shape, sensor.seed, time_s)
    strength = np.float32(255.0 * sensor.noise * (1.0 + 0.8 * gain))
    coded = []
    for plane, grain in zip(light, noise):
        root = np.sqrt(_blurred(plane, sensor.blur_px) * np.float32(gain * 255.0**2))
        np.minimum(root, 255.0, out=root)
        root += strength * grain
        coded.append(np.clip(root, 0.0, 255.0, out=root).astype(np.uint8))
    return np.asarray(cv2.merge(coded), np.uint8)


def _blurred(plane: NDArray[np.float32], sigma_px: float) -> NDArray[np.float32]:
    if sigma_px <= 0:
        return plane
    border = cv2.BORDER_REPLICATE
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma_px, borderType=border), np.float32)


@lru_cache(maxsize=2)
def _noise_tile(seed: int) -> NDArray[np.float32]:
    rng = np.random.default_rng([seed, 4])
    return rng.standard_normal((NOISE_TILE, 2 * NOISE_TILE), np.float32)


def _noise(shape: tuple[int, ...], seed: int, time_s: float) -> list[NDArray[np.float32]]:
    """White noise per channel, cut from one tile at places that depend on the time."""
    rng = np.random.default_rng([seed, 5, abs(round(time_s * 1e6))])
    tile, (height, width) = _noise_tile(seed), shape[:2]
    if height >= tile.shape[0] or width >= tile.shape[1]:
        return [rng.standard_normal(shape, np.float32) for _ in range(3)]
    planes = []
    for _ in range(3):
        y, x = rng.integers(tile.shape[0] - height), rng.integers(tile.shape[1] - width)
        planes.append(np.ascontiguousarray(tile[y : y + height, x : x + width]))
    return planes
