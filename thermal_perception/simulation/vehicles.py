"""Cars, vans, buses and trucks: bodies with engines, wheels, windows and lights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TYPE_CHECKING

import numpy as np

from thermal_perception.simulation.conditions import HEAT
from thermal_perception.simulation.shapes import inset, ShapeBuilder, Surface

if TYPE_CHECKING:
    from numpy.random import Generator

    from thermal_perception.simulation.climate import Climate
    from thermal_perception.simulation.shapes import Shape

VehicleKind = Literal['saloon', 'hatchback', 'suv', 'van', 'bus', 'truck']

CAR_KINDS: tuple[VehicleKind, ...] = ('saloon', 'hatchback', 'suv')
OTHER_KINDS: tuple[VehicleKind, ...] = ('van', 'bus', 'truck')

PAINTS_BGR = (
    (0.75, 0.75, 0.75),
    (0.55, 0.55, 0.55),
    (0.08, 0.08, 0.08),
    (0.25, 0.25, 0.25),
    (0.45, 0.16, 0.10),
    (0.10, 0.10, 0.55),
    (0.30, 0.22, 0.12),
    (0.20, 0.35, 0.15),
    (0.15, 0.50, 0.65),
)


@dataclass(frozen=True)
class Profile:
    """Side view of a vehicle, metres; x ahead from the middle, z up from the road.

    Attributes:
        length, width, height: outer size.
        body: (x, z) corners of the lower body from the front bumper over hood and deck to the
            rear bumper, convex.
        hood: how many of the first edges of `body` belong to the engine: grille, then hood.
        cabin: (x, z) of the windscreen's foot and head, then the rear window's head and foot.
        taper: width of the roof as a share of the body's.
        wheels: x of the axles.
        wheel_radius: metres.
    """

    length: float
    width: float
    height: float
    body: tuple[tuple[float, float], ...]
    hood: int
    cabin: tuple[tuple[float, float], ...]
    taper: float
    wheels: tuple[float, ...]
    wheel_radius: float


def draw_profile(kind: VehicleKind, rng: Generator) -> Profile:
    """Draw the proportions of one vehicle of that kind."""
    if kind in CAR_KINDS:
        return _car_profile(kind, rng)
    if kind == 'van':
        return _van_profile(rng)
    return _box_profile(kind, rng)


def _car_profile(kind: VehicleKind, rng: Generator) -> Profile:
    tall = kind == 'suv'
    length = rng.uniform(4.5, 4.95) if kind != 'hatchback' else rng.uniform(3.7, 4.3)
    height = rng.uniform(1.62, 1.80) if tall else rng.uniform(1.40, 1.54)
    width = rng.uniform(1.72, 1.92)
    belt = 0.58 * height + rng.uniform(0.0, 0.06)
    front, rear = length / 2, -length / 2
    cowl = front - rng.uniform(1.05, 1.35)
    floor = 0.30 if tall else 0.20
    foot = {'saloon': rear + rng.uniform(0.5, 0.8), 'hatchback': rear + 0.12}.get(
        kind, rear + 0.08
    )
    body = (
        (front - 0.06, floor),
        (front, 0.32 * height),
        (front - 0.12, 0.50 * height),
        (cowl, belt),
        (foot, belt + 0.02),
        (rear + 0.06, belt - 0.03),
        (rear, 0.36 * height),
        (rear + 0.08, floor),
    )
    cabin = (
        (cowl - 0.05, belt),
        (cowl - rng.uniform(0.65, 0.85), height),
        (foot + (0.75 if kind == 'saloon' else 0.35), height - 0.03),
        (foot, belt + 0.02),
    )
    axle = 0.30 * length
    return Profile(
        length, width, height, body, 3, cabin, 0.76, (axle + 0.05, -axle), 0.36 if tall else 0.31
    )


def _van_profile(rng: Generator) -> Profile:
    length, width = rng.uniform(4.9, 5.9), rng.uniform(1.9, 2.05)
    height = rng.uniform(1.95, 2.6)
    front, rear = length / 2, -length / 2
    belt = 0.52 * height
    body = (
        (front - 0.05, 0.28),
        (front, 0.6),
        (front - 0.08, 0.85),
        (front - 0.75, belt),
        (rear, belt),
        (rear, 0.35),
    )
    cabin = ((front - 0.7, belt), (front - 1.35, height), (rear + 0.06, height), (rear, belt))
    return Profile(
        length, width, height, body, 3, cabin, 0.88, (0.32 * length, -0.30 * length), 0.35
    )


def _box_profile(kind: VehicleKind, rng: Generator) -> Profile:
    bus = kind == 'bus'
    length = rng.uniform(9.0, 12.0) if bus else rng.uniform(6.5, 9.0)
    height = rng.uniform(2.9, 3.2) if bus else rng.uniform(2.8, 3.5)
    front, rear = length / 2, -length / 2
    body = ((front, 0.35), (front, 0.95), (front - 0.02, 1.15), (rear, 1.15), (rear, 0.4))
    cabin = ((front - 0.02, 1.15), (front - 0.15, height), (rear + 0.05, height), (rear, 1.15))
    wheels = (0.30 * length, -0.27 * length)
    return Profile(length, 2.5, height, body, 2, cabin, 0.97, wheels, 0.48)


def vehicle(
    kind: VehicleKind,
    rng: Generator,
    climate: Climate,
    *,
    moving: bool,
    profile: Profile | None = None,
) -> Shape:
    """Build a vehicle that stands on the ground at its frame's origin, nose along x.

    A moving one has a hot engine, wheels and exhaust and a lived-in cabin; a parked one follows
    the air, with a little warmth left in the hood of some.
    """
    profile = draw_profile(kind, rng) if profile is None else profile
    look = _Look(kind, rng, climate, moving=moving)
    builder = ShapeBuilder()
    _add_ground(builder, profile, look)
    _add_body(builder, profile, look)
    _add_cabin(builder, profile, look, kind)
    _add_wheels(builder, profile, look)
    _add_lights(builder, profile, look)
    return builder.build()


class _Look:
    """Surfaces of one vehicle."""

    def __init__(
        self, kind: VehicleKind, rng: Generator, climate: Climate, *, moving: bool
    ) -> None:
        """Draw paint and heat."""

        def draw(bounds: tuple[float, float]) -> float:
            return float(rng.uniform(*bounds))

        paint = PAINTS_BGR[rng.integers(len(PAINTS_BGR))]
        base = climate.metal + rng.normal(0.0, 0.8) + (1.5 if moving else 0.0)
        # Body paint mirrors some sky: roofs and hoods look colder than they are.
        self.body = Surface(base, 0.90, 0.12).coloured(paint)
        warm = draw(HEAT.hood_k) if moving else draw(HEAT.rest_k) * float(rng.random() < 0.4)
        self.hood = self.body.warmer(warm)
        grille = draw(HEAT.grille_k) if moving else warm * 1.2
        self.grille = self.body.warmer(grille).coloured((0.06, 0.06, 0.06))._replace(texture=0.5)
        self.front = self.body.warmer(0.3 * grille)
        cabin = draw(HEAT.cabin_k) if moving else 0.0
        self.window = Surface(climate.air - 0.5 + cabin, 0.84, 0.15, 1.0, 0.10, 0.09, 0.08)
        if kind == 'bus' and moving:
            self.window = self.window._replace(kelvin=self.window.kelvin + 2.0, glow=0.35)
        tyre = base + (draw(HEAT.wheel_k) if moving else 0.3)
        self.tyre = Surface(tyre, 0.95, 0.2, 1.0, 0.04, 0.04, 0.04)
        self.hub = Surface(
            tyre + (draw(HEAT.brake_k) if moving else -0.5), 0.88, 0.2, 1.0, 0.4, 0.4, 0.4
        )
        self.exhaust = Surface(base + (draw(HEAT.exhaust_k) if moving else 0.0), 0.9)
        self.trim = self.body.warmer(-0.6).coloured((0.07, 0.07, 0.07))
        lamp = draw(HEAT.lamp_k) if moving and climate.lamps else 0.0
        on = 1.0 if moving else 0.0
        self.headlamp = Surface(base + lamp, 0.88, 0.1, 1.0, 0.75, 0.78, 0.78, 4.0 * on)
        self.tail = Surface(base + 0.4 * lamp, 0.9, 0.1, 1.0, 0.12, 0.10, 0.60, 0.9 * on)
        self.plate = Surface(base - 1.0, 0.75, 0.1, 1.0, 0.75, 0.75, 0.7)
        self.shadow = Surface(climate.shadow_k, opacity=0.0, blue=-0.22, green=-0.22, red=-0.22)
        under = draw(HEAT.underbody_k) if moving else 0.25 * warm
        self.patch = Surface(under, opacity=0.0, blue=0.0, green=0.0, red=0.0)


def _add_ground(builder: ShapeBuilder, profile: Profile, look: _Look) -> None:
    half_length, half_width = 0.5 * profile.length, 0.5 * profile.width
    for grow in (0.15, -0.2):  # two steps make the edge of the shadow soft
        x, y = half_length + grow, half_width + grow
        third = look.shadow._replace(
            kelvin=look.shadow.kelvin / 2, blue=-0.11, green=-0.11, red=-0.11
        )
        builder.ground_patch([(x, y), (-x, y), (-x, -y), (x, -y)], third)
    x0, x1, y = 0.15 * profile.length, half_length, half_width - 0.2
    builder.ground_patch([(x0, y), (x0, -y), (x1, -y), (x1, y)], look.patch)


def _add_body(builder: ShapeBuilder, profile: Profile, look: _Look) -> None:
    y = profile.width / 2
    for side in (-1, 1):
        corners = [(x, side * y, z) for x, z in profile.body]
        builder.polygon(corners, look.body, outward=(0, side, 0))
        sill = [(x, side * y, z) for x, z in _below(profile.body, 0.18)]
        builder.polygon(inset(sill, 0.97), look.trim, rank=1, outward=(0, side, 0))
    edges = list(zip(profile.body, profile.body[1:]))
    for index, ((x0, z0), (x1, z1)) in enumerate(edges):
        surface = look.body
        if index < profile.hood:
            surface = look.front if index < profile.hood - 1 else look.hood
        outward = (z0 - z1, 0.0, x1 - x0) if index < len(edges) else (0, 0, 1)
        outward = (-outward[0], 0.0, -outward[2])
        strip = [(x0, y, z0), (x0, -y, z0), (x1, -y, z1), (x1, y, z1)]
        builder.polygon(strip, surface, outward=outward)
    _add_grille(builder, profile, look)
    _add_hood_core(builder, profile, look)


def _add_grille(builder: ShapeBuilder, profile: Profile, look: _Look) -> None:
    front, low = max(x for x, _ in profile.body) + 0.005, profile.body[0][1]
    high = profile.body[1][1]
    for middle, half_z, share in (
        (high + 0.06, 0.10, 0.55),
        (0.5 * (low + high), 0.3 * (high - low), 0.6),
    ):
        grille = _rectangle(front, 0.0, middle, share * 0.5 * profile.width, half_z)
        builder.polygon(grille, look.grille, rank=1, outward=(1, 0, 0))


def _add_hood_core(builder: ShapeBuilder, profile: Profile, look: _Look) -> None:
    """The middle of a hood is warmer than its edges."""
    (x0, z0), (x1, z1) = profile.body[profile.hood - 1], profile.body[profile.hood]
    y = 0.5 * profile.width
    strip = [(x0, y, z0), (x0, -y, z0), (x1, -y, z1), (x1, y, z1)]
    warm = 0.2 * (look.hood.kelvin - look.body.kelvin)
    for keep in (0.85, 0.65, 0.4):
        builder.polygon(inset(strip, keep), look.hood.warmer(warm), rank=1, outward=(0.1, 0, 1))
        warm *= 1.7


def _below(body: tuple[tuple[float, float], ...], share: float) -> list[tuple[float, float]]:
    """The lowest part of a side view, for the darker sill between the wheels."""
    (front, low), (rear, low_rear) = body[0], body[-1]
    top = low + share
    return [(front, low), (front - 0.1, top), (rear + 0.1, top), (rear, low_rear)]


def _add_cabin(builder: ShapeBuilder, profile: Profile, look: _Look, kind: VehicleKind) -> None:
    foot, head, back_head, back_foot = profile.cabin
    wide, narrow = 0.48 * profile.width, 0.5 * profile.taper * profile.width
    windscreen = _trapezoid(foot, head, wide, narrow)
    rear = _trapezoid(back_foot, back_head, wide, narrow)
    roof = _trapezoid(head, back_head, narrow, narrow)
    builder.polygon(windscreen, look.body, rank=3, outward=(1, 0, 0.3))
    builder.polygon(rear, look.body, rank=3, outward=(-1, 0, 0.3))
    builder.polygon(roof, look.body, rank=3, outward=(0, 0, 1))
    builder.polygon(inset(windscreen, 0.88), look.window, rank=4, outward=(1, 0, 0.3))
    if kind not in ('truck', 'van'):
        builder.polygon(inset(rear, 0.82), look.window, rank=4, outward=(-1, 0, 0.3))
    for side in (-1, 1):
        corners = [
            (foot[0], side * wide, foot[1]),
            (head[0], side * narrow, head[1]),
            (back_head[0], side * narrow, back_head[1]),
            (back_foot[0], side * wide, back_foot[1]),
        ]
        builder.polygon(corners, look.body, rank=3, outward=(0, side, 0.1))
        _add_side_windows(builder, corners, look, kind, side)


def _trapezoid(
    low: tuple[float, float], high: tuple[float, float], low_y: float, high_y: float
) -> list[tuple[float, float, float]]:
    return [
        (low[0], low_y, low[1]),
        (low[0], -low_y, low[1]),
        (high[0], -high_y, high[1]),
        (high[0], high_y, high[1]),
    ]


def _add_side_windows(
    builder: ShapeBuilder,
    corners: list[tuple[float, float, float]],
    look: _Look,
    kind: VehicleKind,
    side: int,
) -> None:
    """Cut the side of the cabin into panes; a van has glass in front only."""
    foot, head, back_head, back_foot = np.asarray(corners)
    panes = {'bus': 6, 'van': 4, 'truck': 5}.get(kind, 2)
    glazed = {'van': 1, 'truck': 1}.get(kind, panes)
    for pane in range(glazed):
        a, b = pane / panes, (pane + 1) / panes
        quad = np.array(
            [
                foot + a * (back_foot - foot),
                head + a * (back_head - head),
                head + b * (back_head - head),
                foot + b * (back_foot - foot),
            ]
        )
        builder.polygon(inset(quad, 0.84), look.window, rank=4, outward=(0, side, 0.1))


def _add_wheels(builder: ShapeBuilder, profile: Profile, look: _Look) -> None:
    angles = np.linspace(0, 2 * np.pi, 8, endpoint=False) + np.pi / 8
    ring = np.stack([np.cos(angles), np.zeros(8), np.sin(angles)], 1)
    for axle in profile.wheels:
        for side in (-1, 1):
            centre = np.array([axle, side * (profile.width / 2 + 0.01), profile.wheel_radius])
            arch = centre + (0.0, 0.0, 0.03) + ring * profile.wheel_radius * 1.16
            builder.polygon(arch, look.trim, rank=1, outward=(0, side, 0))
            tyre = centre + ring * profile.wheel_radius
            builder.polygon(tyre, look.tyre, rank=2, outward=(0, side, 0))
            hub = centre + ring * profile.wheel_radius * 0.58
            builder.polygon(hub, look.hub, rank=2, outward=(0, side, 0))
        # Tread seen from ahead and behind, below the bumpers.
        r, y = profile.wheel_radius, profile.width / 2
        for end in (-1, 1):
            for side in (-1, 1):
                x = axle + end * 0.55 * r
                tread = [
                    (x, side * y, 0.0),
                    (x, side * (y - 0.2), 0.0),
                    (x, side * (y - 0.2), r),
                    (x, side * y, r),
                ]
                builder.polygon(tread, look.tyre, rank=-0, outward=(end, 0, 0))


def _add_lights(builder: ShapeBuilder, profile: Profile, look: _Look) -> None:
    y = profile.width / 2
    (_, z_low), (front, z_bumper), (hood_x, _) = profile.body[:3]
    x = max(front, hood_x) + 0.01
    rear = min(x for x, _ in profile.body) - 0.01
    z_tail = profile.body[-2][1] if len(profile.body) > 6 else 0.9
    z_tail = max(z_tail, 0.6)
    for side in (-1, 1):
        front_lamp = _rectangle(x, side * (y - 0.22), z_bumper + 0.10, 0.17, 0.07)
        builder.polygon(front_lamp, look.headlamp, rank=2, outward=(1, 0, 0))
        tail_lamp = _rectangle(rear, side * (y - 0.16), z_tail + 0.1, 0.13, 0.09)
        builder.polygon(tail_lamp, look.tail, rank=2, outward=(-1, 0, 0))
    plate = _rectangle(rear, 0.0, z_tail, 0.26, 0.06)
    builder.polygon(plate, look.plate, rank=2, outward=(-1, 0, 0))
    pipe = _rectangle(rear, 0.5 * y, z_low + 0.06, 0.07, 0.04)
    builder.polygon(pipe, look.exhaust, rank=2, outward=(-1, 0, 0))
    bumper = _rectangle(rear, 0.0, z_low + 0.08, 0.8 * y, 0.09)
    builder.polygon(bumper, look.trim, rank=1, outward=(-1, 0, 0))


def _rectangle(
    x: float, y: float, z: float, half_y: float, half_z: float
) -> list[tuple[float, float, float]]:
    return [
        (x, y - half_y, z - half_z),
        (x, y + half_y, z - half_z),
        (x, y + half_y, z + half_z),
        (x, y - half_y, z + half_z),
    ]
