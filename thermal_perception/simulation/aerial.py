"""The `aerial` preset: a quarter of a town seen from a drone at 60 to 130 m."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TYPE_CHECKING

import numpy as np

from thermal_perception.simulation import actors, scenery, vehicles
from thermal_perception.simulation.motion import Hover, OneWay, Standing, Track
from thermal_perception.simulation.shade import paint_shade
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
    from numpy.typing import NDArray

    from thermal_perception.simulation.actors import Actor, World
    from thermal_perception.simulation.climate import Climate
    from thermal_perception.simulation.motion import Motion

HALF_X_M, HALF_Y_M = 190.0, 150.0
MAP_RESOLUTION_M = 0.125
ALTITUDES_M = (60, 60, 60, 70, 80, 90, 100, 110, 120, 130)
STALL_M = 2.6

PlotKind = Literal['parking', 'plaza', 'block', 'park', 'field']
PLOTS: tuple[PlotKind, ...] = ('parking', 'plaza', 'block', 'park', 'field')
PLOT_SHARES = (0.28, 0.24, 0.18, 0.16, 0.14)


@dataclass(frozen=True, eq=False)
class Plot:
    """One block of the street grid, in its own frame with the origin in its middle.

    Attributes:
        kind: what is on it.
        centre_m: (2,) world frame.
        yaw: of the grid.
        half_m: (2,) half its size.
        near: 0..1, how close it is to what the drone looks at.
    """

    kind: PlotKind
    centre_m: NDArray[np.float64]
    yaw: float
    half_m: NDArray[np.float64]
    near: float

    def world(self, *points: tuple[float, float]) -> NDArray[np.float64]:
        """(N, 2) points of the plot in the world frame."""
        c, s = np.cos(self.yaw), np.sin(self.yaw)
        return np.asarray(points) @ np.array([[c, s], [-s, c]]) + self.centre_m

    def standing(self, x: float, y: float, yaw: float = 0.0) -> Standing:
        """Stand at a point of the plot."""
        at = self.world((x, y))[0]
        return Standing(float(at[0]), float(at[1]), self.yaw + yaw)

    def outline(self, inner_m: float = 0.0) -> NDArray[np.float64]:
        """(4, 2) corners, moved inwards."""
        x, y = self.half_m - inner_m
        return self.world((-x, -y), (x, -y), (x, y), (-x, y))


class _Town:
    """Collects the actors and paints the map of one scene."""

    def __init__(self, rng: Generator, climate: Climate) -> None:
        self.rng, self.climate = rng, climate
        self.built: list[Actor] = []
        self.painter = GroundPainter(
            rng,
            climate,
            size_m=(2 * HALF_X_M, 2 * HALF_Y_M),
            origin_m=(-HALF_X_M, -HALF_Y_M),
            resolution_m=MAP_RESOLUTION_M,
        )
        self.crowd = float(rng.uniform(0.5, 1.8))

    def scenery(self, semantic: int, motion: Motion, shape: actors.Shape) -> None:
        self.built.append(actors.scenery_actor(semantic, motion, shape))

    def draw(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)


def build_aerial(rng: Generator, climate: Climate) -> tuple[World, float]:
    """Lay out one quarter and send a drone over it.

    Returns:
        The world, and the downward angle in degrees at which the drone sees its middle.
    """
    town = _Town(rng, climate)
    yaw = town.draw(0.0, np.pi)
    plots = _plots(town, yaw)
    for plot in plots:
        _PAINT[plot.kind](town, plot)
    for plot in plots:
        _PEOPLE[plot.kind](town, plot)
    paint_shade(town.painter, town.built)
    altitude = float(ALTITUDES_M[rng.integers(len(ALTITUDES_M))])
    pitch = float(rng.choice([30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0]) + rng.normal(0, 1.0))
    base = Hover(
        x=-altitude / np.tan(np.deg2rad(min(pitch, 90.0))),
        y=0.0,
        altitude=altitude + town.draw(-2.0, 2.0),
        yaw=0.0,
        reach_m=town.draw(2.0, 14.0),
        period_s=town.draw(25.0, 50.0),
        turn_rad=town.draw(0.0, 0.15),
    )
    backdrop = paint_backdrop(rng, climate)
    world = actors.World(climate, town.painter.finish(), backdrop, tuple(town.built), base, None)
    return world, pitch


def _plots(town: _Town, yaw: float) -> list[Plot]:
    """Cut the town into plots along a turned grid and put streets between them."""
    reach = np.hypot(HALF_X_M, HALF_Y_M)
    lines = [_grid_lines(town, reach) for _ in range(2)]
    c, s = np.cos(yaw), np.sin(yaw)
    turn = np.array([[c, s], [-s, c]])
    _streets(town, lines, turn, reach)
    plots = []
    for x0, x1 in zip(lines[0], lines[0][1:]):
        for y0, y1 in zip(lines[1], lines[1][1:]):
            centre = np.array([(x0 + x1) / 2, (y0 + y1) / 2]) @ turn
            half = np.array([x1 - x0, y1 - y0]) / 2 - 5.5
            if abs(centre[0]) > HALF_X_M or abs(centre[1]) > HALF_Y_M:
                continue
            near = float(np.exp(-((np.hypot(*centre) / 45.0) ** 2)))
            kind = PLOTS[town.rng.choice(len(PLOTS), p=PLOT_SHARES)]
            plots.append(Plot(kind, centre, yaw, half, near))
    return plots


def _grid_lines(town: _Town, reach: float) -> NDArray[np.float64]:
    steps = town.rng.uniform(38.0, 72.0, 24)
    lines = np.cumsum(steps) - reach - town.draw(0.0, 40.0)
    return lines[lines < reach + 40.0]


def _streets(
    town: _Town, lines: list[NDArray[np.float64]], turn: NDArray[np.float64], reach: float
) -> None:
    """Streets with footways along the grid; some lines are only footpaths."""
    widths = []
    for axis, values in enumerate(lines):
        for value in values:
            width = town.draw(6.0, 8.0) if town.chance(0.75) else 3.0
            ends = np.array([[value, -reach], [value, reach]])
            ends = (ends if axis == 0 else ends[:, ::-1]) @ turn
            widths.append((ends, width))
    for ends, width in widths:
        town.painter.stroke(ends, width + 3.6, PAVEMENT)
    for ends, width in widths:
        if width > 5.0:
            town.painter.stroke(ends, width, ROAD)
            _street_details(town, ends, width)
            _street_traffic(town, ends, width)


def _street_details(town: _Town, ends: NDArray[np.float64], width: float) -> None:
    climate = town.climate
    along = (ends[1] - ends[0]) / np.linalg.norm(ends[1] - ends[0])
    across = np.array([-along[1], along[0]])
    for offset in (-0.72, -0.28, 0.28, 0.72):  # wheel tracks
        track = ends + across * offset * width / 2
        town.painter.warm_stroke(track, 0.45, town.draw(0.1, 0.8))
    for side in (-1, 1):
        town.painter.warm_stroke(ends + across * side * (width / 2 + 0.1), 0.2, -0.8, 0.1)
    for at in np.arange(0.0, np.linalg.norm(ends[1] - ends[0]), 7.0):
        dash = ends[0] + along * at + np.array([[0.0], [3.0]]) * along
        town.painter.warm_stroke(dash, 0.13, climate.paint_k, 0.4)


def _street_traffic(town: _Town, ends: NDArray[np.float64], width: float) -> None:
    rng, climate = town.rng, town.climate
    along = (ends[1] - ends[0]) / np.linalg.norm(ends[1] - ends[0])
    across = np.array([-along[1], along[0]])
    length = float(np.linalg.norm(ends[1] - ends[0]))
    for direction in (-1, 1):
        lane = ends - across * direction * width / 4
        lane = lane if direction > 0 else lane[::-1]
        speed, at = town.draw(4.0, 11.0), town.draw(0.0, 60.0)
        while at < length:
            share = at / length
            if town.chance(0.12):
                kerb = lane - across * direction * (width / 4 - 0.5)
                motion = OneWay(kerb, speed=town.draw(3.0, 6.0), start=share)
                rider = actors.cyclist_actor(rng, climate, motion, motor=town.chance(0.5))
                town.built.append(rider)
            else:
                motion = OneWay(lane, speed=speed, start=share)
                town.built.append(_vehicle(town, motion, running=True))
            at += town.draw(14.0, 90.0)


def _vehicle(town: _Town, motion: Motion, *, running: bool) -> Actor:
    kinds = vehicles.CAR_KINDS
    if town.chance(0.06):
        kinds = vehicles.OTHER_KINDS if running else ('van', 'truck')
    kind = kinds[town.rng.integers(len(kinds))]
    return actors.vehicle_actor(kind, town.rng, town.climate, motion, running=running)


def _paint_parking(town: _Town, plot: Plot) -> None:
    """Rows of stalls, with the marks that cars leave on the ground they shaded."""
    town.painter.fill(plot.outline(), ROAD if town.chance(0.7) else PAVEMENT)
    filling, (half_x, half_y) = town.draw(0.15, 0.8), plot.half_m
    y = -half_y + 3.2
    facing = np.pi / 2
    while y < half_y - 2.6:
        for x in np.arange(-half_x + 2.0, half_x - 2.0, STALL_M):
            _paint_stall(town, plot, x, y)
            if town.chance(filling):
                at = plot.standing(
                    x + STALL_M / 2 + town.rng.normal(0, 0.15),
                    y + town.rng.normal(0, 0.25),
                    facing if town.chance(0.6) else -facing,
                )
                town.built.append(_vehicle(town, at, running=town.chance(0.08)))
            elif town.chance(0.25):
                _paint_ghost(town, plot, x + STALL_M / 2, y)
        y += 5.2 if facing > 0 and town.chance(0.5) else 11.5
        facing = -facing
    for x in np.arange(-half_x + 6, half_x, 24.0):
        lamp = scenery.street_lamp(town.climate, height=8.0, arm_m=1.5)
        town.scenery(FURNITURE, plot.standing(x, town.draw(-half_y, half_y)), lamp)


def _paint_stall(town: _Town, plot: Plot, x: float, y: float) -> None:
    line = plot.world((x, y - 2.5), (x, y + 2.5))
    town.painter.warm_stroke(line, 0.12, town.climate.paint_k, 0.35)


def _paint_ghost(town: _Town, plot: Plot, x: float, y: float) -> None:
    """The cool or warm print of a car that left."""
    patch = plot.world(
        (x - 0.9, y - 2.1), (x + 0.9, y - 2.1), (x + 0.9, y + 2.1), (x - 0.9, y + 2.1)
    )
    cool = town.climate.shadow_k if town.climate.shadow_k < -0.5 else town.draw(-2.5, -0.5)
    town.painter.warm(patch, 0.7 * cool, soft_m=0.35)


def _paint_plaza(town: _Town, plot: Plot) -> None:
    """An open paved space with joints, a few trees and patches dried by the sun."""
    town.painter.fill(plot.outline(), PAVEMENT if town.chance(0.6) else ROAD)
    half_x, half_y = plot.half_m
    gap = town.draw(3.0, 9.0)
    for x in np.arange(-half_x, half_x, gap):
        joint = plot.world((x, -half_y), (x, half_y))
        town.painter.warm_stroke(joint, 0.12, town.draw(-0.8, 0.2), -0.05)
    for _ in range(int(town.rng.integers(2, 9))):
        x, y = town.draw(-half_x, half_x), town.draw(-half_y, half_y)
        w, h = town.rng.uniform(2.0, 12.0, 2)
        patch = plot.world((x, y), (x + w, y), (x + w, y + h), (x, y + h))
        town.painter.warm(patch, town.rng.normal(0, 1.2), soft_m=town.draw(0.2, 1.5))
    for _ in range(int(town.rng.integers(0, 6))):
        _plant(town, plot, town.draw(4.0, 8.0))
    for _ in range(int(town.rng.integers(0, 8))):
        at = plot.standing(town.draw(-half_x, half_x), town.draw(-half_y, half_y), town.draw(0, 3))
        town.scenery(FURNITURE, at, scenery.bin_or_box(town.rng, town.climate))


def _paint_block(town: _Town, plot: Plot) -> None:
    """A building or two with paved surroundings and some trees."""
    town.painter.fill(plot.outline(), PAVEMENT if town.chance(0.6) else VEGETATION)
    half_x, half_y = plot.half_m
    depth = min(town.draw(10.0, 18.0), half_y)
    for side in (-1, 1) if half_y > 20.0 and town.chance(0.6) else (0,):
        length = town.draw(0.9, 1.7) * half_x
        shape = scenery.building(
            town.rng,
            town.climate,
            length=length,
            depth=depth,
            floors=int(town.rng.integers(1, 6)),
        )
        town.scenery(BUILDING, plot.standing(0.0, side * (half_y - depth / 2 - 2.0)), shape)
    for _ in range(int(town.rng.integers(2, 8))):
        _plant(town, plot, town.draw(4.0, 9.0), edge=True)


def _paint_park(town: _Town, plot: Plot) -> None:
    """Lawn, trees and winding paths."""
    half_x, half_y = plot.half_m
    ends = plot.world((-half_x, town.draw(-half_y, half_y)), (half_x, town.draw(-half_y, half_y)))
    bend = plot.world((town.draw(-5, 5), town.draw(-half_y / 2, half_y / 2)))
    path = _curve(np.array([ends[0], bend[0], ends[1]]))
    town.painter.stroke(path, town.draw(1.5, 3.0), PAVEMENT)
    for _ in range(int(town.rng.integers(8, 20))):
        _plant(town, plot, town.draw(4.0, 12.0))
    for _ in range(3):
        x, y = town.draw(-half_x, half_x), town.draw(-half_y, half_y)
        hedge = scenery.hedge(town.rng, town.climate, length=town.draw(4.0, 10.0))
        town.scenery(VEGETATION, plot.standing(x, y, town.draw(0, 3)), hedge)


def _paint_field(town: _Town, plot: Plot) -> None:
    """A sports ground or a lawn with lines."""
    label = VEGETATION if town.chance(0.5) else ROAD
    town.painter.fill(plot.outline(), PAVEMENT)
    town.painter.fill(plot.outline(2.0), label)
    x, y = plot.half_m - 4.0
    paint = town.draw(-2.0, 1.0)
    corners = plot.world((-x, -y), (x, -y), (x, y), (-x, y), (-x, -y))
    town.painter.warm_stroke(corners, 0.15, paint, 0.35)
    town.painter.warm_stroke(plot.world((0, -y), (0, y)), 0.15, paint, 0.35)
    angles = np.linspace(0, 2 * np.pi, 30)
    ring = plot.world(*zip(5 * np.cos(angles), 5 * np.sin(angles)))
    town.painter.warm_stroke(ring, 0.15, paint, 0.35)
    for _ in range(int(town.rng.integers(0, 5))):
        _plant(town, plot, town.draw(4.0, 8.0), edge=True)


def _plant(town: _Town, plot: Plot, height: float, *, edge: bool = False) -> None:
    half_x, half_y = plot.half_m
    x, y = town.draw(-half_x, half_x), town.draw(-half_y, half_y)
    if edge:
        y = float(np.copysign(half_y - 1.0, y))
    shape = scenery.tree(town.rng, town.climate, height=height)
    town.scenery(VEGETATION, plot.standing(x, y), shape)


def _curve(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Quadratic curve through three points' frame."""
    t = np.linspace(0.0, 1.0, 24)[:, None]
    return (1 - t) ** 2 * points[0] + 2 * t * (1 - t) * points[1] + t**2 * points[2]


def _crowd(town: _Town, plot: Plot, mean: float, *, run: bool = False) -> None:
    """People on a plot, more of them where the drone looks: singles, groups, walkers."""
    rng, climate = town.rng, town.climate
    half_x, half_y = plot.half_m * 0.92
    groups = int(rng.poisson(mean * town.crowd * (0.35 + 1.8 * plot.near)))
    for _ in range(groups):
        x, y = town.draw(-half_x, half_x), town.draw(-half_y, half_y)
        members = int(rng.choice([1, 1, 2, 2, 3, 4, 6]))
        walking, speed = town.chance(0.6), town.draw(2.0, 3.5) if run else town.draw(0.7, 1.5)
        far = plot.world((town.draw(-half_x, half_x), town.draw(-half_y, half_y)))[0]
        for _ in range(members):
            at = plot.world((x, y))[0] + rng.normal(0.0, 0.9, 2)
            if walking and np.hypot(*(far - at)) > 3.0:
                ends = [tuple(at), tuple(far + rng.normal(0.0, 0.6, 2))]
                motion: Motion = Track(ends, speed=speed, start=float(rng.random()))
            else:
                motion = Standing(float(at[0]), float(at[1]), town.draw(-3.1, 3.1))
            person = actors.person_actor(rng, climate, motion, walking=walking)
            town.built.append(person)


def _bicycle_rack(town: _Town, plot: Plot) -> None:
    """A row of parked bicycles and scooters, close together."""
    half_x, half_y = plot.half_m
    x, y = town.draw(-half_x, half_x - 4.0), float(np.copysign(half_y - 0.5, town.draw(-1, 1)))
    motors, lean = town.chance(0.6), town.draw(-0.3, 0.3)
    for place in range(int(town.rng.integers(2, 14))):
        if town.chance(0.2):
            continue
        at = plot.standing(x + 0.9 * place, y, np.pi / 2 + lean + town.rng.normal(0, 0.1))
        bike = actors.parked_bicycle_actor(
            town.rng, town.climate, at, motor=motors and town.chance(0.8)
        )
        town.built.append(bike)


def _riders(town: _Town, plot: Plot, mean: float) -> None:
    half_x, half_y = plot.half_m * 0.9
    for _ in range(int(town.rng.poisson(mean * (0.3 + 1.5 * plot.near)))):
        points = plot.world(
            *zip(town.rng.uniform(-half_x, half_x, 4), town.rng.uniform(-half_y, half_y, 4))
        )
        motion = Track(points, speed=town.draw(2.5, 5.0), start=town.draw(0, 1), closed=True)
        rider = actors.cyclist_actor(town.rng, town.climate, motion, motor=town.chance(0.5))
        town.built.append(rider)


def _people_parking(town: _Town, plot: Plot) -> None:
    _crowd(town, plot, 2.0)
    _riders(town, plot, 0.5)
    if town.chance(0.5):
        _bicycle_rack(town, plot)


def _people_plaza(town: _Town, plot: Plot) -> None:
    _crowd(town, plot, 6.0)
    _riders(town, plot, 1.5)
    for _ in range(int(town.rng.integers(0, 3))):
        _bicycle_rack(town, plot)


def _people_block(town: _Town, plot: Plot) -> None:
    for _ in range(int(town.rng.integers(0, 4))):
        _bicycle_rack(town, plot)


def _people_park(town: _Town, plot: Plot) -> None:
    _crowd(town, plot, 1.5)
    _riders(town, plot, 0.4)


def _people_field(town: _Town, plot: Plot) -> None:
    _crowd(town, plot, 4.0, run=True)


_PAINT = {
    'parking': _paint_parking,
    'plaza': _paint_plaza,
    'block': _paint_block,
    'park': _paint_park,
    'field': _paint_field,
}
_PEOPLE = {
    'parking': _people_parking,
    'plaza': _people_plaza,
    'block': _people_block,
    'park': _people_park,
    'field': _people_field,
}
