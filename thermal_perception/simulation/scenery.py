"""What stands still: buildings, trees, poles, signs, hedges."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from thermal_perception.simulation.shapes import ShapeBuilder, Surface

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from thermal_perception.simulation.climate import Climate
    from thermal_perception.simulation.shapes import Shape

WALLS_BGR = ((0.50, 0.58, 0.66), (0.30, 0.36, 0.52), (0.62, 0.64, 0.66), (0.38, 0.44, 0.50))
FOLIAGE_BGR = ((0.10, 0.26, 0.16), (0.09, 0.22, 0.20), (0.12, 0.32, 0.22), (0.10, 0.24, 0.30))


def building(
    rng: Generator, climate: Climate, *, length: float, depth: float, floors: int
) -> Shape:
    """A block of flats or a shop: `length` along x, `depth` along y, windows on all sides."""
    wall_bgr = WALLS_BGR[rng.integers(len(WALLS_BGR))]
    wall = Surface(climate.wall + rng.normal(0.0, 1.0), 0.93, 0.35).coloured(wall_bgr)
    roof = Surface(climate.roof + rng.normal(0.0, 1.5), 0.92, 0.6, 1.0, 0.3, 0.3, 0.32)
    height = 3.1 * floors + rng.uniform(0.3, 1.2)
    x, y = length / 2, depth / 2
    builder = ShapeBuilder()
    builder.box((-x, -y, 0.0), (x, y, height), wall, top=roof)
    # Walls are warmest where they meet the pavement and below the eaves.
    for low, high, warm in ((0.0, 0.9, 0.9), (height - 0.5, height, 0.5)):
        _add_band(builder, x, y, (low, high), wall.warmer(warm))
    panes = _Panes(rng, climate)
    _add_windows(builder, panes, floors, half=(x, y))
    _add_roof_units(builder, rng, roof, (x, y, height))
    return builder.build()


def _add_band(
    builder: ShapeBuilder, x: float, y: float, z: tuple[float, float], surface: Surface
) -> None:
    for corners, outward in _walls(x + 0.02, y + 0.02, *z):
        builder.polygon(corners, surface, rank=1, outward=outward)


def _walls(
    x: float, y: float, z0: float, z1: float
) -> list[tuple[list[tuple[float, float, float]], tuple[int, int, int]]]:
    return [
        ([(x, -y, z0), (x, y, z0), (x, y, z1), (x, -y, z1)], (1, 0, 0)),
        ([(-x, -y, z0), (-x, y, z0), (-x, y, z1), (-x, -y, z1)], (-1, 0, 0)),
        ([(-x, y, z0), (x, y, z0), (x, y, z1), (-x, y, z1)], (0, 1, 0)),
        ([(-x, -y, z0), (x, -y, z0), (x, -y, z1), (-x, -y, z1)], (0, -1, 0)),
    ]


class _Panes:
    """Windows of one building: glass mirrors the cold sky, some rooms are heated and lit."""

    def __init__(self, rng: Generator, climate: Climate) -> None:
        """Draw what all windows of the building share."""
        self.rng = rng
        self.climate = climate
        self.width = rng.uniform(0.9, 1.7)
        self.pitch = rng.uniform(2.3, 3.4)
        self.share_lit = rng.uniform(0.1, 0.4) if climate.lamps else 0.0

    def surface(self) -> Surface:
        """Draw one window."""
        kelvin = self.climate.window + self.rng.normal(0.0, 1.2)
        lit = self.rng.random() < self.share_lit
        glass = Surface(kelvin + (1.5 if lit else 0.0), 0.86, 0.2, 1.0, 0.16, 0.14, 0.12)
        return glass._replace(blue=0.2, green=0.4, red=0.5, glow=0.4) if lit else glass


def _add_windows(
    builder: ShapeBuilder, panes: _Panes, floors: int, *, half: tuple[float, float]
) -> None:
    x, y = half
    for floor in range(floors):
        z = 3.1 * floor + 1.0
        tall = 1.9 if floor == 0 else 1.35
        for side, wall, span in ((1, 'y', x), (-1, 'y', x), (1, 'x', y), (-1, 'x', y)):
            count = max(1, int(2 * span / panes.pitch))
            for middle in (np.arange(count) - (count - 1) / 2) * panes.pitch:
                half_width = panes.width / 2
                ends = (middle - half_width, middle + half_width)
                if wall == 'y':
                    at = side * (y + 0.03)
                    quad = [(u, at, v) for u, v in _quad(ends, z, tall)]
                    outward = (0, side, 0)
                else:
                    at = side * (x + 0.03)
                    quad = [(at, u, v) for u, v in _quad(ends, z, tall)]
                    outward = (side, 0, 0)
                builder.polygon(quad, panes.surface(), rank=2, outward=outward)


def _quad(ends: tuple[float, float], z: float, tall: float) -> list[tuple[float, float]]:
    return [(ends[0], z), (ends[1], z), (ends[1], z + tall), (ends[0], z + tall)]


def _add_roof_units(
    builder: ShapeBuilder, rng: Generator, roof: Surface, size: tuple[float, float, float]
) -> None:
    """Vents and air handlers, some warm; the parapet shows from above as a rim."""
    x, y, z = size
    rim = roof.warmer(rng.uniform(0.5, 3.0))
    deck = [(-x + 0.4, -y + 0.4, z), (x - 0.4, -y + 0.4, z), (x - 0.4, y - 0.4, z)]
    builder.polygon([(-x, -y, z), (x, -y, z), (x, y, z), (-x, y, z)], rim, outward=(0, 0, 1))
    builder.polygon([*deck, (-x + 0.4, y - 0.4, z)], roof, rank=1, outward=(0, 0, 1))
    for _ in range(int(rng.integers(0, 5))):
        w, d, h = rng.uniform(0.5, 1.6, 3)
        u = rng.uniform(-x + 1.5, x - 1.5) if x > 2 else 0.0
        v = rng.uniform(-y + 1.5, y - 1.5) if y > 2 else 0.0
        unit = roof.warmer(rng.uniform(-1.0, 6.0))
        parts = ShapeBuilder()
        parts.box((u - w, v - d, z), (u + w, v + d, z + h), unit)
        for corners in parts.build().polygons:
            normal = np.cross(corners[1] - corners[0], corners[2] - corners[0])
            builder.polygon(corners[:4], unit, rank=3, outward=normal)


def tree(rng: Generator, climate: Climate, *, height: float) -> Shape:
    """A trunk with boughs below a crown of many small, mottled clumps of leaves."""
    bark = Surface(climate.foliage + rng.uniform(0.3, 2.0), 0.95, 0.4, 1.0, 0.12, 0.16, 0.2)
    green = FOLIAGE_BGR[rng.integers(len(FOLIAGE_BGR))]
    leaf = Surface(climate.foliage + rng.normal(0.0, 0.5), 0.97, 0.7).coloured(green)
    builder = ShapeBuilder()
    trunk, radius = 0.36 * height, 0.3 * height * rng.uniform(0.8, 1.1)
    builder.capsule((0, 0, 0), (0, 0, 0.6 * height), 0.022 * height, bark, end_radius=0.08)
    centre = np.array([0.0, 0.0, trunk + 0.62 * radius])
    for _ in range(4):
        tip = centre + rng.normal(0.0, 0.4 * radius, 3)
        builder.capsule((0, 0, trunk), tuple(tip), 0.07, bark, end_radius=0.03)
    if rng.random() < 0.15 and climate.air < 288.0:
        _add_twigs(builder, rng, bark, trunk, (centre, radius))
    else:
        _add_leaves(builder, rng, leaf, (centre, radius))
    return builder.build()


def _add_twigs(
    builder: ShapeBuilder,
    rng: Generator,
    bark: Surface,
    trunk_m: float,
    crown: tuple[NDArray[np.float64], float],
) -> None:
    for _ in range(16):
        at, _ = _in_crown(rng, *crown)
        fork = 0.5 * (at + np.array([0.0, 0.0, trunk_m])) + rng.normal(0.0, 0.15, 3)
        builder.capsule((0, 0, trunk_m), tuple(fork), 0.06, bark, end_radius=0.04)
        for _ in range(2):
            tip = at + rng.normal(0.0, 0.25 * crown[1], 3)
            builder.capsule(tuple(fork), tuple(tip), 0.03, bark, end_radius=0.012)


def _add_leaves(
    builder: ShapeBuilder, rng: Generator, leaf: Surface, crown: tuple[NDArray[np.float64], float]
) -> None:
    """A few large clumps inside, many splinters outside; warmer inside, out of the cold sky."""
    centre, radius = crown
    count, inner = 80, 14
    direction = rng.normal(size=(count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    size = radius * rng.uniform(0.06, 0.13, count)
    size[:inner] = radius * rng.uniform(0.28, 0.40, inner)
    reach = radius * 0.72 * rng.random(count) ** 0.45
    # Each leaf grows on the rim of a clump.
    clump_of = rng.integers(inner, size=count)
    reach[inner:] = size[clump_of[inner:]] * rng.uniform(0.85, 1.25, count - inner)
    offset = direction * reach[:, None] * (1.0, 1.0, 0.85)
    at = centre + offset
    at[inner:] += offset[clump_of[inner:]]
    out = np.linalg.norm(at - centre, axis=1) / radius
    warm = leaf.kelvin + rng.normal(0.0, 0.45, count) + 0.6 * (0.7 - out)
    shade = rng.uniform(0.7, 1.2, count) * (0.9 + 0.3 * (at[:, 2] - centre[2]) / radius)
    jagged = rng.uniform(0.1, 50.0, count) * (np.arange(count) >= inner)
    for i, point in enumerate(at.tolist()):
        clump = leaf._replace(
            kelvin=float(warm[i]),
            blue=leaf.blue * shade[i],
            green=leaf.green * shade[i],
            red=leaf.red * shade[i],
            ragged=float(jagged[i]),
        )
        builder.capsule(tuple(point), tuple(point), float(size[i]), clump)


def _in_crown(
    rng: Generator, centre: NDArray[np.float64], radius: float
) -> tuple[NDArray[np.float64], float]:
    """A point in the crown, and its distance from the middle as a share of the radius."""
    direction = rng.normal(size=3)
    direction /= np.linalg.norm(direction)
    share = rng.random() ** 0.45
    return centre + direction * share * radius * np.array([1.0, 1.0, 0.85]), float(share)


def hedge(rng: Generator, climate: Climate, *, length: float) -> Shape:
    """A clipped hedge along x, made of clumps."""
    green = FOLIAGE_BGR[rng.integers(len(FOLIAGE_BGR))]
    leaf = Surface(climate.foliage - 0.3, 0.97, 0.7).coloured(green)
    builder = ShapeBuilder()
    tall = rng.uniform(0.7, 1.3)
    for x in np.arange(-length / 2, length / 2, 0.55):
        surface = leaf.warmer(rng.normal(0.0, 0.5))
        y, z = rng.normal(0.0, 0.12), tall * rng.uniform(0.4, 0.6)
        builder.capsule((x, y, 0.3), (x + 0.4, -y, z), 0.42, surface, end_radius=tall - z)
    return builder.build()


def street_lamp(climate: Climate, *, height: float, arm_m: float) -> Shape:
    """A pole with an arm along y and a lamp that is warm when lit."""
    metal = Surface(climate.metal + 0.8, 0.8, 0.1, 1.0, 0.35, 0.35, 0.35)
    lit = 1.0 if climate.lamps else 0.0
    head = Surface(climate.metal + 1.0 + 14.0 * lit, 0.9, 0.1, 1.0, 0.55, 0.75, 0.85, 3.0 * lit)
    builder = ShapeBuilder()
    builder.capsule((0, 0, 0), (0, 0, height), 0.09, metal, end_radius=0.06)
    builder.capsule((0, 0, height), (0, arm_m, height + 0.25), 0.05, metal)
    builder.capsule((0, arm_m, height + 0.22), (0, arm_m * 1.25, height + 0.22), 0.11, head)
    return builder.build()


def sign(rng: Generator, climate: Climate) -> Shape:
    """A round or square traffic sign that faces back along x; its metal mirrors the sky."""
    metal = Surface(climate.metal, 0.7, 0.1, 1.0, 0.5, 0.5, 0.5)
    face = Surface(climate.metal - 0.5, 0.75, 0.1, 1.0, *rng.choice([0.15, 0.7], 3))
    builder = ShapeBuilder()
    builder.capsule((0, 0, 0), (0, 0, 2.3), 0.035, metal)
    corners = 8 if rng.random() < 0.6 else 4
    angles = np.linspace(0, 2 * np.pi, corners, endpoint=False) + np.pi / 4
    plate = [(-0.05, 0.33 * np.cos(a), 2.45 + 0.33 * np.sin(a)) for a in angles]
    builder.polygon(plate, face, rank=1)
    return builder.build()


def bin_or_box(rng: Generator, climate: Climate) -> Shape:
    """A waste bin, a junction box or a bench: small street furniture, some of it warm."""
    warm = rng.uniform(3.0, 9.0) if rng.random() < 0.3 else 0.0
    grey = float(rng.uniform(0.1, 0.45))
    surface = Surface(climate.metal + warm, 0.92, 0.2).coloured((grey, grey, grey))
    half_x, half_y, tall = rng.uniform(0.2, 0.6), rng.uniform(0.2, 0.4), rng.uniform(0.7, 1.4)
    builder = ShapeBuilder()
    builder.box((-half_x, -half_y, 0.0), (half_x, half_y, tall), surface)
    return builder.build()
