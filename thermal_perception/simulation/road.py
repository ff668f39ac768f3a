"""The `road` preset: a street seen from a vehicle, repeating every 320 m."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from thermal_perception.simulation import actors, scenery, vehicles
from thermal_perception.simulation.motion import Cruise, OneWay, Standing, Straight, Track
from thermal_perception.simulation.shade import paint_shade
from thermal_perception.simulation.shapes import ShapeBuilder, Surface
from thermal_perception.simulation.terrain import (
    BUILDING,
    FURNITURE,
    GroundPainter,
    paint_backdrop,
    PAVEMENT,
    ROAD,
    VEGETATION,
)

if TYPE_CHECKING:
    from numpy.random import Generator

    from thermal_perception.simulation.actors import Actor, World
    from thermal_perception.simulation.climate import Climate
    from thermal_perception.simulation.motion import Motion

PERIOD_M = 320.0
HALF_WIDTH_M = 56.0
MAP_RESOLUTION_M = 0.08
EGO_CLEAR_M = 7.0  # a standing base keeps the road this far ahead free of crossing traffic


@dataclass(frozen=True)
class Street:
    """Cross-section and bustle of one street; y to the left, the middle of the road at 0.

    Attributes:
        lane_m: width of a lane.
        lanes: per direction.
        parking: whether cars park along both kerbs.
        footway_m: width of the pavement.
        setback_m: from footway to building fronts.
        crossing_x: where a side street and a zebra crossing lie.
        ego_speed: of the base, metres per second; 0 waits before the crossing.
        urban: 0 = trees and lawns, 1 = walls all along.
        bustle: density of people and traffic, 1 = ordinary.
    """

    lane_m: float
    lanes: int
    parking: bool
    footway_m: float
    setback_m: float
    crossing_x: float
    ego_speed: float
    urban: float
    bustle: float

    @property
    def kerb_m(self) -> float:
        """Distance of each kerb from the middle."""
        return self.lanes * self.lane_m + (2.3 if self.parking else 0.6)

    @property
    def edge_m(self) -> float:
        """Outer edge of each footway."""
        return self.kerb_m + self.footway_m

    def lane_y(self, index: int, *, oncoming: bool) -> float:
        """Middle of a lane; lane 0 is next to the middle line, traffic keeps right."""
        y = (index + 0.5) * self.lane_m
        return y if oncoming else -y


def build_road(rng: Generator, climate: Climate) -> World:
    """Lay out one street."""
    street = _draw_street(rng)
    base = Cruise(street.ego_speed, street.lane_y(street.lanes - 1, oncoming=False))
    built: list[Actor] = []
    built += _buildings(rng, climate, street)
    built += _greenery(rng, climate, street)
    built += _furniture(rng, climate, street)
    built += _markings(rng, climate, street)
    parked = _parked(rng, climate, street)
    built += parked
    built += _traffic(rng, climate, street, base)
    built += _cyclists(rng, climate, street)
    built += _people(rng, climate, street)
    painter = _painter(rng, climate, street)
    paint_shade(painter, built)
    return actors.World(
        climate, painter.finish(), paint_backdrop(rng, climate), tuple(built), base, PERIOD_M
    )


def _draw_street(rng: Generator) -> Street:
    lanes = 2 if rng.random() < 0.3 else 1
    waiting = rng.random() < 0.3
    return Street(
        lane_m=float(rng.uniform(3.1, 3.7)),
        lanes=lanes,
        parking=bool(rng.random() < 0.65),
        footway_m=float(rng.uniform(2.0, 4.5)),
        setback_m=float(rng.uniform(0.3, 9.0)),
        crossing_x=float(rng.uniform(11.0, 16.0) if waiting else rng.uniform(40.0, 200.0)),
        ego_speed=0.0 if waiting else float(rng.uniform(4.0, 13.0)),
        urban=float(rng.uniform(0.15, 1.0)),
        bustle=float(rng.uniform(0.5, 1.6)),
    )


def _buildings(rng: Generator, climate: Climate, street: Street) -> list[Actor]:
    """Fronts along both sides, with gaps; the side street stays free."""
    built = []
    for side in (-1, 1):
        x = -40.0
        while x < PERIOD_M - 62.0:
            length = float(rng.uniform(9.0, 26.0))
            depth = float(rng.uniform(9.0, 14.0))
            middle = x + length / 2
            blocked = abs(middle - street.crossing_x) < length / 2 + 8.0
            if rng.random() < street.urban and not blocked:
                floors = int(rng.integers(1, 7) if rng.random() < 0.7 else rng.integers(1, 3))
                shape = scenery.building(rng, climate, length=length, depth=depth, floors=floors)
                y = side * (street.edge_m + street.setback_m + depth / 2)
                at = Standing(middle, float(y))
                built.append(actors.scenery_actor(BUILDING, at, shape))
            x += length + (0.0 if rng.random() < 0.5 else float(rng.uniform(2.0, 15.0)))
    return built


def _greenery(rng: Generator, climate: Climate, street: Street) -> list[Actor]:
    """Street trees at the kerb, more behind where there is room, hedges in front gardens."""
    built = []
    row = rng.random() < 0.7
    for side in (-1, 1):
        for x in np.arange(-38.0, PERIOD_M - 42.0, float(rng.uniform(9.0, 16.0))):
            if abs(x - street.crossing_x) < 9.0:
                continue
            y = street.kerb_m + 0.9 if row else street.edge_m + rng.uniform(0.5, 3.0)
            if rng.random() < 0.75:
                shape = scenery.tree(rng, climate, height=float(rng.uniform(5.0, 10.0)))
                at = Standing(float(x + rng.normal(0, 1.0)), float(side * y), rng.uniform(0, 6))
                built.append(actors.scenery_actor(VEGETATION, at, shape))
            if rng.random() < 0.5 * (1.2 - street.urban):
                back = street.edge_m + street.setback_m + rng.uniform(4.0, 26.0)
                shape = scenery.tree(rng, climate, height=float(rng.uniform(7.0, 15.0)))
                at = Standing(float(x + rng.uniform(0, 8)), float(side * back))
                built.append(actors.scenery_actor(VEGETATION, at, shape))
            if street.setback_m > 2.5 and rng.random() < 0.35:
                shape = scenery.hedge(rng, climate, length=float(rng.uniform(4.0, 9.0)))
                at = Standing(float(x + 5), float(side * (street.edge_m + 0.8)))
                built.append(actors.scenery_actor(VEGETATION, at, shape))
    return built


def _furniture(rng: Generator, climate: Climate, street: Street) -> list[Actor]:
    built = []
    spacing, height = float(rng.uniform(24.0, 38.0)), float(rng.uniform(6.0, 9.0))
    for index, x in enumerate(np.arange(-36.0, PERIOD_M - 40.0, spacing)):
        side = 1 if index % 2 else -1
        shape = scenery.street_lamp(climate, height=height, arm_m=-side * 1.6)
        at = Standing(float(x), side * (street.kerb_m + 0.4))
        built.append(actors.scenery_actor(FURNITURE, at, shape))
    for _ in range(int(rng.integers(10, 22))):
        side = -1 if rng.random() < 0.7 else 1
        at = Standing(
            float(rng.uniform(-38, 280)), side * (street.kerb_m + 0.5), 0.0 if side < 0 else np.pi
        )
        built.append(actors.scenery_actor(FURNITURE, at, scenery.sign(rng, climate)))
    for _ in range(int(rng.integers(6, 16))):
        at = Standing(
            float(rng.uniform(-38, 280)),
            float(rng.choice([-1, 1]) * (street.edge_m - 0.4)),
            float(rng.choice([0.0, np.pi / 2])),
        )
        built.append(actors.scenery_actor(FURNITURE, at, scenery.bin_or_box(rng, climate)))
    return built


def _markings(rng: Generator, climate: Climate, street: Street) -> list[Actor]:
    """Lane paint, kerbs and the zebra; sharp edges that the map is too coarse for."""
    paint = Surface(climate.paint_k, 0.95, 0.0, 0.0, 0.42, 0.42, 0.42)
    kerb = Surface(climate.pavement - climate.road + 0.4, 0.95, 0.0, 0.0, 0.12, 0.12, 0.12)
    built = []
    for x0 in np.arange(-40.0, PERIOD_M - 40.0, 8.0):
        builder = ShapeBuilder()
        strip(builder, 0.0, 3.2, 0.0, 0.12, paint)
        for lane in range(1, street.lanes):
            for side in (-1, 1):
                strip(builder, 1.0, 4.0, side * lane * street.lane_m, 0.12, paint)
        for side in (-1, 1):
            if street.parking:
                strip(builder, 0.0, 8.0, side * street.lanes * street.lane_m, 0.10, paint)
            if abs(x0 + 4.0 - street.crossing_x) > 7.0:
                strip(builder, 0.0, 8.0, side * street.kerb_m, 0.16, kerb)
        built.append(actors.scenery_actor(ROAD, Standing(float(x0), 0.0), builder.build()))
    zebra = ShapeBuilder()
    for y in np.arange(-street.kerb_m + 0.6, street.kerb_m - 0.4, 1.0):
        strip(zebra, -1.5, 1.5, float(y), 0.5, paint)
    _strip_across(zebra, -3.0, -street.kerb_m + 0.3, -0.2, paint)
    at = Standing(street.crossing_x - 6.0, 0.0)
    built.append(actors.scenery_actor(ROAD, at, zebra.build()))
    return built


def strip(
    builder: ShapeBuilder, x0: float, x1: float, y: float, width: float, surface: Surface
) -> None:
    """Add a painted strip along x, its middle at y."""
    half = width / 2
    corners = [(x0, y - half), (x1, y - half), (x1, y + half), (x0, y + half)]
    builder.ground_patch(corners, surface)


def _strip_across(builder: ShapeBuilder, x: float, y0: float, y1: float, surface: Surface) -> None:
    builder.ground_patch([(x, y0), (x + 0.4, y0), (x + 0.4, y1), (x, y1)], surface)


def _parked(rng: Generator, climate: Climate, street: Street) -> list[Actor]:
    if not street.parking:
        return []
    built = []
    filling = float(rng.uniform(0.2, 0.75))
    for side in (-1, 1):
        y = street.kerb_m - 1.15
        for x in np.arange(-36.0, PERIOD_M - 44.0, 6.2):
            if rng.random() > filling or abs(x - street.crossing_x + 3) < 9.0:
                continue
            yaw = np.pi if (side > 0) != (rng.random() < 0.08) else 0.0
            at = Standing(float(x + rng.normal(0, 0.25)), side * (y + rng.normal(0, 0.08)), yaw)
            built.append(any_vehicle(rng, climate, at, running=False, big=0.1))
    return built


def any_vehicle(
    rng: Generator, climate: Climate, motion: Motion, *, running: bool, big: float
) -> Actor:
    """Draw a vehicle; `big` is the chance of a van, lorry or, if it runs, bus."""
    kinds = vehicles.OTHER_KINDS if rng.random() < big else vehicles.CAR_KINDS
    if not running:
        kinds = tuple(k for k in kinds if k != 'bus')
    kind = kinds[rng.integers(len(kinds))]
    return actors.vehicle_actor(kind, rng, climate, motion, running=running)


def _traffic(rng: Generator, climate: Climate, street: Street, base: Cruise) -> list[Actor]:
    """Cars ahead in the base's lane, faster ones beside it, oncoming ones."""
    built = []
    speed = street.ego_speed
    lead = rng.uniform(9.0, 30.0)
    while lead < 130.0 and speed > 0.0:
        motion = Straight(float(lead), base.y, speed, wave_m=float(rng.uniform(0.0, 2.5)))
        built.append(any_vehicle(rng, climate, motion, running=True, big=0.25))
        lead += rng.uniform(14.0, 70.0) / street.bustle
    for lane in range(street.lanes):
        pace = -float(rng.uniform(5.0, 13.0)) if speed > 0.0 else 0.0
        first = 6.0 if speed > 0.0 else street.crossing_x + 6.0
        x = rng.uniform(first, first + 25.0)
        y = street.lane_y(lane, oncoming=True)
        while x < PERIOD_M - 60.0:
            oncoming = Straight(float(x), y, pace) if pace else Standing(float(x), y, np.pi)
            built.append(any_vehicle(rng, climate, oncoming, running=True, big=0.25))
            x += rng.uniform(9.0, 60.0) / street.bustle
    if street.lanes > 1:
        y = street.lane_y(0, oncoming=False)
        for x in np.arange(rng.uniform(5.0, 40.0), 180.0, rng.uniform(25.0, 70.0)):
            motion = Straight(float(x), y, speed + float(rng.uniform(0.0, 2.0)) if speed else 0.0)
            built.append(any_vehicle(rng, climate, motion, running=True, big=0.25))
    return built + _cross_traffic(rng, climate, street)


def _cross_traffic(rng: Generator, climate: Climate, street: Street) -> list[Actor]:
    """While the base waits, cars pass on the side street."""
    built: list[Actor] = []
    if street.ego_speed > 0.0:
        return built
    reach = 52.0
    for direction, x in ((1, street.crossing_x + 5.0), (-1, street.crossing_x + 1.6)):
        ends = [(x, -reach * direction), (x, reach * direction)]
        for start in np.arange(rng.random(), 1.0 + rng.random(), rng.uniform(0.3, 0.7)):
            track = OneWay(ends, speed=float(rng.uniform(5.0, 7.0)), start=float(start))
            kinds = vehicles.CAR_KINDS
            kind = kinds[rng.integers(len(kinds))]
            built.append(actors.vehicle_actor(kind, rng, climate, track, running=True))
    return built


def _cyclists(rng: Generator, climate: Climate, street: Street) -> list[Actor]:
    built = []
    for _ in range(int(rng.poisson(5 * street.bustle))):
        oncoming = rng.random() < 0.5
        y = street.lanes * street.lane_m - (0.5 if not street.parking else -0.1)
        speed = float(rng.uniform(3.0, 6.5))
        motion = Straight(
            float(rng.uniform(4.0, 200.0)),
            y if oncoming else -y,
            -speed if oncoming else speed,
        )
        built.append(actors.cyclist_actor(rng, climate, motion, motor=rng.random() < 0.25))
    if street.ego_speed == 0.0 and rng.random() < 0.5:
        track = _crossing_track(rng, street, speed=float(rng.uniform(2.0, 4.0)))
        built.append(actors.cyclist_actor(rng, climate, track, motor=False))
    for _ in range(int(rng.integers(1, 5))):
        x, side = float(rng.uniform(5.0, 200.0)), rng.choice([-1, 1])
        for place in range(int(rng.integers(1, 6))):
            at = Standing(
                x + 0.75 * place,
                float(side * (street.edge_m - 1.0)),
                float(np.pi / 2 + rng.normal(0, 0.2)),
            )
            bike = actors.parked_bicycle_actor(rng, climate, at, motor=rng.random() < 0.3)
            built.append(bike)
    return built


def _people(rng: Generator, climate: Climate, street: Street) -> list[Actor]:
    """Singles and groups on the footways, some at the kerb, some who cross."""
    built = []
    for _ in range(int(rng.poisson(22 * street.bustle))):
        side = rng.choice([-1, 1])
        middle = float(rng.uniform(3.0, 200.0))
        y = side * rng.uniform(street.kerb_m + 0.5, street.edge_m - 0.3)
        members = int(rng.choice([1, 1, 1, 2, 2, 3, 4]))
        walking, speed = rng.random() < 0.75, float(rng.uniform(0.8, 1.6))
        half, start = float(rng.uniform(8.0, 25.0)), float(rng.random())
        for member in range(members):
            dx, dy = rng.normal(0, 0.5) + 0.3 * member, rng.normal(0, 0.25) + 0.55 * (member % 2)
            at = (middle + dx, y - side * dy)
            if walking:
                ends = [(at[0] - half, at[1]), (at[0] + half, at[1])]
                motion: Track | Standing = Track(ends, speed=speed, start=start)
            else:
                motion = Standing(float(at[0]), float(at[1]), float(rng.uniform(-3, 3)))
            built.append(actors.person_actor(rng, climate, motion, walking=walking))
    crossing = 4.0 if street.ego_speed == 0.0 else 1.0
    for _ in range(int(rng.poisson(crossing * street.bustle))):
        track = _crossing_track(rng, street, speed=float(rng.uniform(0.9, 1.7)))
        built.append(actors.person_actor(rng, climate, track, walking=True))
    return built


def _crossing_track(rng: Generator, street: Street, *, speed: float) -> Track:
    """Over the zebra and a little along the footway."""
    x = street.crossing_x - 6.0 + rng.uniform(-1.3, 1.3)
    far = street.kerb_m + rng.uniform(0.8, street.footway_m)
    points = [(x, -far), (x, far)]
    return Track(points, speed=speed, start=float(2 * rng.random()))


def _painter(rng: Generator, climate: Climate, street: Street) -> GroundPainter:
    painter = GroundPainter(
        rng,
        climate,
        size_m=(PERIOD_M, 2 * HALF_WIDTH_M),
        origin_m=(-40.0, -HALF_WIDTH_M),
        resolution_m=MAP_RESOLUTION_M,
    )
    far, left = PERIOD_M - 40.0, -40.0
    paved = street.edge_m + (street.setback_m if street.setback_m < 4.0 else 0.0)
    painter.fill([(left, -paved), (far, -paved), (far, paved), (left, paved)], PAVEMENT)
    x = street.crossing_x + 3.3
    painter.fill(rectangle(x - 7.5, x + 7.5, -HALF_WIDTH_M, HALF_WIDTH_M), PAVEMENT)
    painter.fill(rectangle(left, far, -street.kerb_m, street.kerb_m), ROAD)
    painter.fill(rectangle(x - 4.0, x + 4.0, -HALF_WIDTH_M, HALF_WIDTH_M), ROAD)
    _paint_wear(rng, painter, street)
    return painter


def _paint_wear(rng: Generator, painter: GroundPainter, street: Street) -> None:
    """Wheel tracks warmed by tyres, patches of other asphalt, seams, covers, joints."""
    far, left = PERIOD_M - 40.0, -40.0
    warm = float(rng.uniform(0.2, 1.2))
    for lane in range(street.lanes):
        for oncoming in (False, True):
            y = street.lane_y(lane, oncoming=oncoming)
            for offset in (-0.78, 0.78):
                track = rectangle(left, far, y + offset - 0.22, y + offset + 0.22)
                painter.warm(track, warm, soft_m=0.16)
    for _ in range(int(rng.integers(8, 26))):
        x, y = rng.uniform(left, far - 8), rng.uniform(-street.kerb_m, street.kerb_m)
        patch = rectangle(x, x + rng.uniform(1, 9), y, y + rng.uniform(0.6, 2.5))
        painter.warm(patch, float(rng.normal(0.0, 0.7)))
        painter.brighten(patch, float(rng.normal(0.0, 0.04)))
    for _ in range(int(rng.integers(20, 50))):
        x, y = rng.uniform(left, far), rng.uniform(-street.kerb_m, street.kerb_m)
        line = np.cumsum(rng.normal(0, 1.0, (8, 2)), 0) + np.array([x, y])
        painter.warm_stroke(line, 0.05, float(rng.uniform(-1.2, -0.2)), -0.08)
    for _ in range(int(rng.integers(4, 12))):
        x, y = rng.uniform(left, far), rng.uniform(-street.kerb_m + 1, street.kerb_m - 1)
        angles = np.linspace(0, 2 * np.pi, 14)
        cover = np.stack([x + 0.35 * np.cos(angles), y + 0.35 * np.sin(angles)], 1)
        painter.warm(cover, float(rng.uniform(-1.0, 3.5)))
        painter.brighten(cover, -0.08)
    for x in np.arange(left, far, 2.0):  # joints between slabs of the footway
        for side in (-1, 1):
            ends = [(x, side * (street.kerb_m + 0.2)), (x, side * street.edge_m)]
            painter.warm_stroke(ends, 0.06, -0.4, -0.06)


def rectangle(x0: float, x1: float, y0: float, y1: float) -> list[tuple[float, float]]:
    """Return the corners of an upright rectangle on the ground."""
    return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
