"""The `intersection` preset: two streets that cross, houses at the corners, and a camera pole.

The streets run along x and y and cross at the origin. The base comes along x from behind; while
its street flows the other waits, and the other way round, so that nobody drives through anybody.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from thermal_perception.geometry.transforms import compose, from_xyz_rpy, invert, T_OPTICAL_BODY
from thermal_perception.simulation import actors, scenery
from thermal_perception.simulation.camera import CameraSpec, pinhole, RgbSensor
from thermal_perception.simulation.motion import OneWay, Standing, Straight, Track
from thermal_perception.simulation.road import any_vehicle, rectangle, strip
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
    from collections.abc import Iterator

    from numpy.random import Generator

    from thermal_perception.simulation.actors import Actor, World
    from thermal_perception.simulation.climate import Climate
    from thermal_perception.simulation.motion import Motion
    from thermal_perception.simulation.shapes import Shape

REACH_M = 110.0  # of the streets, from the middle
MAP_RESOLUTION_M = 0.1
ARMS = ((1, 0), (-1, 0), (0, 1), (0, -1))  # directions from the middle
_ANYWHERE = Standing(0.0, 0.0)  # until the length of a vehicle is known


@dataclass(frozen=True)
class Crossing:
    """The plan of both streets and who may drive; traffic keeps right.

    Attributes:
        lane_m: width of a lane, one per direction.
        footway_m: width of the pavements.
        setback_m: from footway to building fronts.
        ego_flows: whether the base's street has green.
        ego_speed: of the base, metres per second; 0 stands before the crossing.
        ego_start: its x at the beginning.
        urban: share of the fronts with houses.
        bustle: density of people and traffic, 1 = ordinary.
    """

    lane_m: float
    footway_m: float
    setback_m: float
    ego_flows: bool
    ego_speed: float
    ego_start: float
    urban: float
    bustle: float

    @property
    def kerb_m(self) -> float:
        """Distance of each kerb from the middle of its street."""
        return self.lane_m + 2.4  # room to park

    @property
    def edge_m(self) -> float:
        """Outer edge of each footway."""
        return self.kerb_m + self.footway_m

    @property
    def stop_m(self) -> float:
        """Distance from the middle at which vehicles wait."""
        return self.kerb_m + 4.5


def build_intersection(rng: Generator, climate: Climate) -> World:
    """Lay out one crossing."""
    plan = _draw_plan(rng)
    base = Straight(plan.ego_start, -plan.lane_m / 2, plan.ego_speed)
    built: list[Actor] = []
    built += _houses(rng, climate, plan)
    built += _trees(rng, climate, plan)
    built += _lamps(climate, plan)
    built += _markings(climate, plan)
    built += _parked(rng, climate, plan)
    built += _moving(rng, climate, plan)
    built += _waiting(rng, climate, plan)
    built += _riders_and_people(rng, climate, plan)
    painter = _painter(rng, climate, plan)
    paint_shade(painter, built)
    backdrop = paint_backdrop(rng, climate)
    return actors.World(climate, painter.finish(), backdrop, tuple(built), base, None)


def pole_camera(
    seed: int, *, size: tuple[int, int] = (1080, 1920), focal_share: float = 0.6
) -> CameraSpec:
    """Return a roadside colour camera on a pole at a corner, looking over the crossing.

    Args:
        seed: of corner, height and direction.
        size: (height, width), pixels.
        focal_share: focal length as a share of the width.
    """
    rng = np.random.default_rng([seed, 0x90])
    side_x, side_y = rng.choice([-1, 1], 2)
    # On the footway of the base's street: no house begins closer than 7.9 m.
    at = np.array([side_x * rng.uniform(7.5, 13.0), side_y * rng.uniform(6.9, 7.7)])
    # Half of them look along the base's street, over the crossing, against its traffic or with it.
    target = rng.normal(0.0, 3.0, 2)
    if rng.random() < 0.5:
        target += (-side_x * 18.0, -side_y * 3.0)
    yaw = np.arctan2(*(target - at)[::-1])
    T_world_body = from_xyz_rpy(
        (*at, rng.uniform(5.0, 7.5)), (0.0, np.deg2rad(rng.uniform(12.0, 20.0)), yaw)
    )
    return CameraSpec(
        'rgb',
        size,
        pinhole(size, focal_share * size[1]),
        np.eye(4),
        'infra_optical_frame',
        rgb=RgbSensor(seed=seed),
        T_world_camera=compose(T_world_body, invert(T_OPTICAL_BODY)),
    )


def _draw_plan(rng: Generator) -> Crossing:
    ego_flows = bool(rng.random() < 0.6)
    lane_m, footway_m = float(rng.uniform(3.2, 3.8)), float(rng.uniform(2.0, 4.0))
    stop = lane_m + 2.4 + 4.5
    return Crossing(
        lane_m=lane_m,
        footway_m=footway_m,
        setback_m=float(rng.uniform(0.3, 5.0)),
        ego_flows=ego_flows,
        ego_speed=float(rng.uniform(5.0, 13.0)) if ego_flows else 0.0,
        ego_start=float(
            rng.uniform(-70.0, -25.0) if ego_flows else -stop - rng.uniform(2.0, 30.0)
        ),
        urban=float(rng.uniform(0.4, 1.0)),
        bustle=float(rng.uniform(0.6, 1.6)),
    )


@dataclass(frozen=True)
class _Row:
    """Houses side by side along a street.

    Attributes:
        start_m: where the first begins, from the middle of the crossing.
        end_m: beyond this none begins.
        lengths_m: least and greatest, along the street.
        depths_m: least and greatest.
        floors: fewest, and one more than the most.
        gaps_m: least and greatest.
        along_x: whether the street runs along x.
    """

    start_m: float
    end_m: float
    lengths_m: tuple[float, float]
    depths_m: tuple[float, float]
    floors: tuple[int, int]
    gaps_m: tuple[float, float]
    along_x: bool


def _houses(rng: Generator, climate: Climate, plan: Crossing) -> Iterator[Actor]:
    """Rows of houses along all four arms; those at the corners hide the other street."""
    line = plan.edge_m + plan.setback_m
    rows = (
        _Row(line, REACH_M - 20.0, (9.0, 24.0), (9.0, 13.0), (1, 6), (0.0, 12.0), True),
        # Behind the corner house.
        _Row(line + 16.0, REACH_M - 30.0, (9.0, 20.0), (9.0, 12.0), (1, 5), (2.0, 14.0), False),
    )
    for side_x in (-1, 1):
        for side_y in (-1, 1):
            for row in rows:
                for (x, y), shape in _row_of_houses(rng, climate, row, line, plan.urban):
                    yield actors.scenery_actor(BUILDING, Standing(side_x * x, side_y * y), shape)


def _row_of_houses(
    rng: Generator, climate: Climate, row: _Row, line: float, urban: float
) -> Iterator[tuple[tuple[float, float], Shape]]:
    """Give the houses of a row, in the corner where x and y are positive, and where they are."""
    start = row.start_m
    while start < row.end_m:
        length, depth = float(rng.uniform(*row.lengths_m)), float(rng.uniform(*row.depths_m))
        if rng.random() < urban:
            along, away = start + length / 2, line + depth / 2
            sides = (length, depth) if row.along_x else (depth, length)
            shape = scenery.building(
                rng,
                climate,
                length=sides[0],
                depth=sides[1],
                floors=int(rng.integers(*row.floors)),
            )
            yield ((along, away) if row.along_x else (away, along)), shape
        start += length + float(rng.uniform(*row.gaps_m))


def _trees(rng: Generator, climate: Climate, plan: Crossing) -> Iterator[Actor]:
    for arm in ARMS:
        for along in np.arange(plan.stop_m + 6.0, REACH_M - 10.0, rng.uniform(11.0, 20.0)):
            for side in (-1, 1):
                if rng.random() < 0.4:
                    shape = scenery.tree(rng, climate, height=float(rng.uniform(5.0, 9.0)))
                    x, y = _place(arm, float(along), side * (plan.kerb_m + 0.9))
                    at = Standing(x, y, float(rng.uniform(0, 6)))
                    yield actors.scenery_actor(VEGETATION, at, shape)


def _lamps(climate: Climate, plan: Crossing) -> Iterator[Actor]:
    for arm in ARMS:
        for index, along in enumerate(np.arange(plan.stop_m + 10.0, REACH_M, 30.0)):
            side = 1 if index % 2 else -1
            shape = scenery.street_lamp(climate, height=7.5, arm_m=-side * 1.6)
            x, y = _place(arm, float(along), side * (plan.kerb_m + 0.4))
            yaw = 0.0 if arm[1] == 0 else np.pi / 2
            yield actors.scenery_actor(FURNITURE, Standing(x, y, yaw), shape)


def _markings(climate: Climate, plan: Crossing) -> Iterator[Actor]:
    """Middle lines, stop lines, and a zebra on every arm."""
    paint = Surface(climate.paint_k, 0.95, 0.0, 0.0, 0.42, 0.42, 0.42)
    for arm in ARMS:
        yaw = np.arctan2(arm[1], arm[0])
        near = ShapeBuilder()
        strip(near, plan.stop_m, plan.stop_m + 0.4, plan.lane_m / 2, plan.lane_m - 0.3, paint)
        for y in np.arange(-plan.kerb_m + 0.6, plan.kerb_m - 0.4, 1.0):
            strip(near, plan.kerb_m + 0.7, plan.kerb_m + 3.3, float(y), 0.5, paint)
        yield actors.scenery_actor(ROAD, Standing(0.0, 0.0, yaw), near.build())
        for along in np.arange(plan.stop_m + 2.0, REACH_M - 6.0, 8.0):
            dash = ShapeBuilder()
            strip(dash, 0.0, 3.2, 0.0, 0.12, paint)
            x, y = _place(arm, float(along), 0.0)
            yield actors.scenery_actor(ROAD, Standing(x, y, yaw), dash.build())


def _parked(rng: Generator, climate: Climate, plan: Crossing) -> Iterator[Actor]:
    filling = float(rng.uniform(0.1, 0.6))
    for arm in ARMS:
        for side in (-1, 1):
            # Left of the way out one comes in, right of it one goes out.
            yaw = float(np.arctan2(arm[1], arm[0]) + (np.pi if side > 0 else 0.0))
            along = plan.stop_m + 4.0
            while along < REACH_M - 25.0:
                vehicle = any_vehicle(rng, climate, _ANYWHERE, running=False, big=0.15)
                length = float(vehicle.size_m[0])
                if rng.random() < filling:
                    x, y = _place(arm, along + length / 2, side * (plan.kerb_m - 1.15))
                    yield replace(vehicle, motion=Standing(x, y, yaw))
                along += length + float(rng.uniform(0.8, 2.0))


def _moving(rng: Generator, climate: Climate, plan: Crossing) -> Iterator[Actor]:
    """The street that has green: both directions, evenly fast."""
    pace = plan.ego_speed if plan.ego_flows else float(rng.uniform(6.0, 12.0))
    for direction in (1, -1):
        start = -REACH_M + float(rng.uniform(0.0, 25.0))
        while start < REACH_M:
            vehicle = any_vehicle(rng, climate, _ANYWHERE, running=True, big=0.3)
            length = float(vehicle.size_m[0])
            middle = start + length / 2
            off_ego = abs(middle - plan.ego_start) > length / 2 + 7.0
            if off_ego or not plan.ego_flows or direction == -1:
                motion = _along(plan, direction * middle, direction * pace)
                yield replace(vehicle, motion=motion)
            start += length + float(rng.uniform(5.0, 40.0)) / plan.bustle


def _along(plan: Crossing, start: float, speed: float) -> Motion:
    """Drive along the street that has green, on the right side of it."""
    if plan.ego_flows:
        return Straight(start, np.sign(speed) * -plan.lane_m / 2, speed)
    lane = np.sign(speed) * plan.lane_m / 2
    far = np.sign(speed) * 3.0 * REACH_M
    return OneWay([(lane, -far), (lane, far)], speed=abs(speed), start=0.5 + start / (2 * far))


def _waiting(rng: Generator, climate: Climate, plan: Crossing) -> Iterator[Actor]:
    """Queues on the arms that have red, closest to the stop line first."""
    for arm in ARMS:
        if (arm[1] == 0) == plan.ego_flows:
            continue
        distance = plan.stop_m + 0.6
        for _ in range(int(rng.poisson(2.2 * plan.bustle))):
            vehicle = any_vehicle(rng, climate, _ANYWHERE, running=True, big=0.3)
            length = float(vehicle.size_m[0])
            # Traffic into the crossing keeps right, which is left of the way out.
            x, y = _place(arm, distance + length / 2, plan.lane_m / 2)
            yaw = float(np.arctan2(-arm[1], -arm[0]))
            if not (arm == (-1, 0) and abs(x - plan.ego_start) < length / 2 + 4.0):
                yield replace(vehicle, motion=Standing(x, y, yaw))
            distance += length + float(rng.uniform(1.6, 3.5))


def _riders_and_people(rng: Generator, climate: Climate, plan: Crossing) -> Iterator[Actor]:
    for _ in range(int(rng.poisson(2 * plan.bustle))):
        direction = int(rng.choice([-1, 1]))
        speed = direction * float(rng.uniform(3.0, 6.0))
        motion = Straight(float(rng.uniform(-60, 60)), -direction * (plan.kerb_m - 0.7), speed)
        yield actors.cyclist_actor(rng, climate, motion, motor=rng.random() < 0.3)
    for _ in range(int(rng.poisson(16 * plan.bustle))):
        arm = ARMS[rng.integers(4)]
        side = rng.choice([-1, 1]) * rng.uniform(plan.kerb_m + 0.6, plan.edge_m - 0.3)
        middle = float(rng.uniform(plan.edge_m, 60.0))
        ends = [_place(arm, middle + d, float(side)) for d in (-5.0, 15.0)]
        walking = rng.random() < 0.75
        motion_of: Motion = Track(ends, speed=float(rng.uniform(0.8, 1.6)), start=rng.random())
        if not walking:
            motion_of = Standing(*ends[0], float(rng.uniform(-3, 3)))
        yield actors.person_actor(rng, climate, motion_of, walking=walking)


def _place(arm: tuple[int, int], along: float, left: float) -> tuple[float, float]:
    """Return x, y of a place on an arm: so far out, and so far to the left of the way out."""
    dx, dy = arm
    return dx * along - dy * left, dy * along + dx * left


def _painter(rng: Generator, climate: Climate, plan: Crossing) -> GroundPainter:
    size = 2 * REACH_M
    painter = GroundPainter(
        rng,
        climate,
        size_m=(size, size),
        origin_m=(-REACH_M, -REACH_M),
        resolution_m=MAP_RESOLUTION_M,
    )
    far = REACH_M
    paved = plan.edge_m + plan.setback_m
    for half, label in ((paved, PAVEMENT), (plan.kerb_m, ROAD)):
        painter.fill(rectangle(-far, far, -half, half), label)
        painter.fill(rectangle(-half, half, -far, far), label)
    warm = float(rng.uniform(0.2, 1.2))
    for lane in (-plan.lane_m / 2, plan.lane_m / 2):
        for offset in (-0.78, 0.78):
            low, high = lane + offset - 0.22, lane + offset + 0.22
            painter.warm(rectangle(-far, far, low, high), warm, soft_m=0.16)
            painter.warm(rectangle(low, high, -far, far), warm, soft_m=0.16)
    for _ in range(int(rng.integers(10, 30))):
        x, y = rng.uniform(-60, 60), rng.uniform(-plan.kerb_m, plan.kerb_m)
        patch = rectangle(x, x + rng.uniform(1, 9), y, y + rng.uniform(0.6, 2.5))
        if rng.random() < 0.5:
            patch = [(b, a) for a, b in patch]
        painter.warm(patch, float(rng.normal(0.0, 0.7)))
        painter.brighten(patch, float(rng.normal(0.0, 0.04)))
    return painter
