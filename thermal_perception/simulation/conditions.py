"""Weather and light: every physical constant of the simulated world, one record per condition.

Temperatures named `*_dk` are differences to the air, in kelvin. A pair is a range: each scene
draws its own value from it, so that two seeds never share a climate.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from thermal_perception.errors import SimulationError

Range = tuple[float, float]
ConditionName = Literal['day', 'dusk', 'night', 'fog', 'glare']


@dataclass(frozen=True)
class Condition:
    """Heat, light and air of one kind of weather.

    Attributes:
        name: the name a user types.
        air_c: air temperature, degrees Celsius.
        zenith_dk: apparent temperature of the sky overhead.
        horizon_dk: apparent temperature of the sky at the horizon.
        cloud_k: how much warmer clouds are than the clear sky.
        road_dk: asphalt.
        pavement_dk: footways and kerbs.
        grass_dk: lawns.
        foliage_dk: tree crowns and hedges.
        wall_dk: walls.
        roof_dk: roofs.
        window_dk: windows of heated or cooled rooms.
        metal_dk: unheated poles, railings, bodies of parked cars.
        sun_k: how much warmer than the shade a surface square to the sun is.
        cooling_k: how much a surface square to the clear sky cools.
        paint_k: lane paint minus asphalt.
        shadow_k: ground below a car or a tree minus open ground.
        thermal_extinction_per_m: of the air between 8 and 14 micrometres.
        rgb_extinction_per_m: of the air in visible light.
        sun_elevation_deg: height of the sun; below zero there is none.
        sunlight: direct light on a surface square to the sun, 1 = full exposure.
        skylight: light from the whole sky on a level surface.
        sky_bgr: colour of the sky, 0..1.
        lamps: whether street lamps, windows and vehicle lights shine.
        glare: strength of the halo round a headlight that shines into the camera.
    """

    name: ConditionName
    air_c: Range
    zenith_dk: Range
    horizon_dk: Range
    cloud_k: Range
    road_dk: Range
    pavement_dk: Range
    grass_dk: Range
    foliage_dk: Range
    wall_dk: Range
    roof_dk: Range
    window_dk: Range
    metal_dk: Range
    sun_k: Range
    cooling_k: Range
    paint_k: Range
    shadow_k: Range
    thermal_extinction_per_m: Range
    rgb_extinction_per_m: Range
    sun_elevation_deg: Range
    sunlight: float
    skylight: float
    sky_bgr: tuple[float, float, float]
    lamps: bool
    glare: float


DAY = Condition(
    name='day',
    air_c=(12.0, 30.0),
    zenith_dk=(-45.0, -25.0),
    horizon_dk=(-12.0, -4.0),
    cloud_k=(0.0, 14.0),
    road_dk=(2.0, 10.0),
    pavement_dk=(1.5, 8.0),
    grass_dk=(-2.0, 4.0),
    foliage_dk=(-2.0, 1.0),
    wall_dk=(0.0, 6.0),
    roof_dk=(0.0, 8.0),
    window_dk=(-3.0, 3.0),
    metal_dk=(0.0, 4.0),
    sun_k=(3.0, 14.0),
    cooling_k=(0.0, 1.0),
    paint_k=(-3.0, -1.0),
    shadow_k=(-8.0, -3.0),
    thermal_extinction_per_m=(0.0002, 0.0006),
    rgb_extinction_per_m=(0.0005, 0.0015),
    sun_elevation_deg=(25.0, 60.0),
    sunlight=0.85,
    skylight=0.35,
    sky_bgr=(0.95, 0.82, 0.68),
    lamps=False,
    glare=0.0,
)

DUSK = Condition(
    name='dusk',
    air_c=(5.0, 22.0),
    zenith_dk=(-40.0, -25.0),
    horizon_dk=(-12.0, -4.0),
    cloud_k=(0.0, 12.0),
    road_dk=(1.0, 7.0),
    pavement_dk=(1.0, 5.0),
    grass_dk=(-5.0, -1.0),
    foliage_dk=(-1.5, 1.0),
    wall_dk=(0.0, 5.0),
    roof_dk=(-4.0, 2.0),
    window_dk=(1.0, 7.0),
    metal_dk=(-2.0, 1.0),
    sun_k=(0.0, 3.0),
    cooling_k=(0.5, 2.5),
    paint_k=(-1.5, -0.5),
    shadow_k=(-2.5, -0.8),
    thermal_extinction_per_m=(0.0002, 0.0007),
    rgb_extinction_per_m=(0.0008, 0.002),
    sun_elevation_deg=(2.0, 8.0),
    sunlight=0.15,
    skylight=0.16,
    sky_bgr=(0.62, 0.52, 0.60),
    lamps=True,
    glare=0.25,
)

NIGHT = Condition(
    name='night',
    air_c=(-4.0, 20.0),
    zenith_dk=(-40.0, -24.0),
    horizon_dk=(-12.0, -4.0),
    cloud_k=(0.0, 14.0),
    road_dk=(0.0, 5.0),
    pavement_dk=(-0.5, 3.0),
    grass_dk=(-6.0, -2.0),
    foliage_dk=(-2.0, 0.5),
    wall_dk=(-0.5, 4.0),
    roof_dk=(-8.0, -2.0),
    window_dk=(2.0, 9.0),
    metal_dk=(-3.0, 0.0),
    sun_k=(0.0, 0.0),
    cooling_k=(0.5, 2.5),
    paint_k=(-1.2, -0.3),
    shadow_k=(-1.5, 0.8),
    thermal_extinction_per_m=(0.0002, 0.0007),
    rgb_extinction_per_m=(0.0008, 0.002),
    sun_elevation_deg=(-30.0, -20.0),
    sunlight=0.0,
    skylight=0.012,
    sky_bgr=(0.05, 0.035, 0.03),
    lamps=True,
    glare=0.35,
)

FOG = Condition(
    name='fog',
    air_c=(2.0, 14.0),
    zenith_dk=(-6.0, -2.0),
    horizon_dk=(-1.0, 0.0),
    cloud_k=(0.0, 2.0),
    road_dk=(0.5, 3.5),
    pavement_dk=(0.0, 2.0),
    grass_dk=(-1.5, 0.5),
    foliage_dk=(-0.8, 0.5),
    wall_dk=(0.0, 3.0),
    roof_dk=(-1.0, 1.0),
    window_dk=(1.0, 5.0),
    metal_dk=(-1.0, 0.5),
    sun_k=(0.0, 0.5),
    cooling_k=(0.0, 0.4),
    paint_k=(-0.6, -0.1),
    shadow_k=(-0.8, 0.2),
    thermal_extinction_per_m=(0.004, 0.012),
    rgb_extinction_per_m=(0.030, 0.070),
    sun_elevation_deg=(10.0, 30.0),
    sunlight=0.0,
    skylight=0.42,
    sky_bgr=(0.74, 0.73, 0.72),
    lamps=True,
    glare=0.2,
)

# The night again, with lamps that blind the colour camera; to the thermal one it is the same.
GLARE = replace(NIGHT, name='glare', glare=1.6, rgb_extinction_per_m=(0.001, 0.003))

CONDITIONS: dict[str, Condition] = {c.name: c for c in (DAY, DUSK, NIGHT, FOG, GLARE)}


@dataclass(frozen=True)
class Heat:
    """Heat of living and running things; kelvin differences unless said otherwise.

    Attributes:
        skin_c: bare skin, degrees Celsius.
        skin_follows_air: share of the way from 32 C to the air that skin goes.
        clothing_share: of the way from the air to the skin that clothes stand.
        hair_share: the same for hair and hats.
        hood_k: hood of a running engine above the car's body.
        grille_k: grille above the body.
        wheel_k: tyres of a moving car above the body.
        brake_k: hubs of a moving car above the body.
        exhaust_k: tail pipe above the body.
        underbody_k: road below a running engine.
        cabin_k: windows of an occupied car.
        rest_k: hood of a car parked not long ago.
        lamp_k: headlights that are on.
        motor_k: motor of a scooter or electric bicycle.
    """

    skin_c: Range = (32.0, 34.5)
    skin_follows_air: float = 0.12
    clothing_share: Range = (0.30, 0.75)
    hair_share: Range = (0.35, 0.70)
    hood_k: Range = (3.0, 12.0)
    grille_k: Range = (5.0, 18.0)
    wheel_k: Range = (4.0, 13.0)
    brake_k: Range = (4.0, 16.0)
    exhaust_k: Range = (25.0, 60.0)
    underbody_k: Range = (1.5, 6.0)
    cabin_k: Range = (0.0, 5.0)
    rest_k: Range = (0.0, 7.0)
    lamp_k: Range = (3.0, 14.0)
    motor_k: Range = (4.0, 18.0)


HEAT = Heat()


def condition_named(name: str) -> Condition:
    """Look up a condition.

    Raises:
        SimulationError: if there is none of that name.
    """
    if name not in CONDITIONS:
        raise SimulationError(f'condition: found {name!r}, expected {", ".join(CONDITIONS)}')
    return CONDITIONS[name]
