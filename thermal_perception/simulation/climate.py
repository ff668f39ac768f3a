"""One scene's weather: a single value drawn from each range of its condition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from thermal_perception.simulation.radiometry import CELSIUS

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from thermal_perception.simulation.conditions import Condition, Range


@dataclass(frozen=True, eq=False)
class Climate:
    """Temperatures (kelvin), light and air of one scene; see `Condition` for the meanings.

    Attributes:
        sun_direction: (3,) unit vector from the ground to the sun, world frame.
    """

    condition: Condition
    air: float
    zenith: float
    horizon: float
    cloud_k: float
    road: float
    pavement: float
    grass: float
    foliage: float
    wall: float
    roof: float
    window: float
    metal: float
    sun_k: float
    cooling_k: float
    paint_k: float
    shadow_k: float
    thermal_extinction_per_m: float
    rgb_extinction_per_m: float
    sun_direction: NDArray[np.float64]

    @property
    def lamps(self) -> bool:
        """Whether street lamps and vehicle lights shine."""
        return self.condition.lamps


def draw_climate(condition: Condition, rng: Generator) -> Climate:
    """Draw one value from each range of the condition."""

    def draw(bounds: Range) -> float:
        return float(rng.uniform(*bounds))

    air = draw(condition.air_c) + CELSIUS
    surfaces = {
        name: air + draw(getattr(condition, f'{name}_dk'))
        for name in (
            *('zenith', 'horizon', 'road', 'pavement', 'grass'),
            *('foliage', 'wall', 'roof', 'window', 'metal'),
        )
    }
    plain = {
        name: draw(getattr(condition, name))
        for name in (
            *('cloud_k', 'sun_k', 'cooling_k', 'paint_k', 'shadow_k'),
            *('thermal_extinction_per_m', 'rgb_extinction_per_m'),
        )
    }
    sun = _direction(draw(condition.sun_elevation_deg), float(rng.uniform(0.0, 360.0)))
    return Climate(condition=condition, air=air, sun_direction=sun, **surfaces, **plain)


def _direction(elevation_deg: float, azimuth_deg: float) -> NDArray[np.float64]:
    elevation, azimuth = np.deg2rad([elevation_deg, azimuth_deg])
    level = np.cos(elevation)
    return np.array([level * np.cos(azimuth), level * np.sin(azimuth), np.sin(elevation)])
