"""Geometry that objects are made of: flat convex polygons and capsules, each with a surface."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

Point = tuple[float, float, float]
CORNERS = 8  # polygons with fewer corners repeat the last one
GROUND_RANK = -1  # primitives of this rank lie on the ground, below every object

KELVIN, EMISSIVITY, TEXTURE, OPACITY, BLUE, GREEN, RED, GLOW, RAGGED = range(9)
COLUMNS = 9


class Surface(NamedTuple):
    """What a primitive looks like to both cameras; one column each in surface arrays.

    Attributes:
        kelvin: temperature out of the sun; where `opacity` is 0, kelvin added to the ground.
        emissivity: between 8 and 14 micrometres.
        texture: standard deviation of small temperature differences, kelvin.
        opacity: 1 hides what is behind, 0 tints the ground (a shadow, a warm patch).
        blue: albedo, 0..1; where `opacity` is 0, light added.
        green: see blue.
        red: see blue.
        glow: light sent out when lamps are on, 1 = full exposure.
        ragged: above 0, a ball or rod is drawn as a jagged splinter, the number picks which.
    """

    kelvin: float
    emissivity: float = 0.95
    texture: float = 0.15
    opacity: float = 1.0
    blue: float = 0.4
    green: float = 0.4
    red: float = 0.4
    glow: float = 0.0
    ragged: float = 0.0

    def coloured(self, bgr: Sequence[float] | NDArray[np.floating]) -> Surface:
        """The same surface in another colour."""
        return self._replace(blue=float(bgr[0]), green=float(bgr[1]), red=float(bgr[2]))

    def warmer(self, kelvin: float) -> Surface:
        """The same surface, warmer by `kelvin`."""
        return self._replace(kelvin=self.kelvin + kelvin)


@dataclass(frozen=True, eq=False)
class Shape:
    """Primitives of one object in its own frame (x ahead, y left, z up), metres.

    Attributes:
        polygons: (P, 8, 3) float32 corners, seen counter-clockwise from outside.
        polygon_ranks: (P,) int32; within an object a higher rank is drawn later.
        two_sided: (P,) bool, drawn from behind too.
        polygon_surfaces: (P, 9) float32 columns of `Surface`.
        capsules: (C, 2, 3) float32 ends of the axis.
        radii: (C, 2) float32 at each end.
        capsule_ranks: (C,) int32.
        capsule_surfaces: (C, 9) float32.
    """

    polygons: NDArray[np.float32]
    polygon_ranks: NDArray[np.int32]
    two_sided: NDArray[np.bool_]
    polygon_surfaces: NDArray[np.float32]
    capsules: NDArray[np.float32]
    radii: NDArray[np.float32]
    capsule_ranks: NDArray[np.int32]
    capsule_surfaces: NDArray[np.float32]

    def extent(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lowest and highest corner of what stands above the ground, (3,) metres each."""
        solid = self.polygons[self.polygon_ranks > GROUND_RANK].reshape(-1, 3)
        low_high = [solid]
        for sign in (-1.0, 1.0):
            low_high.append((self.capsules + sign * self.radii[:, :, None]).reshape(-1, 3))
        points = np.concatenate(low_high).astype(np.float64)
        if not len(points):
            points = self.polygons.reshape(-1, 3).astype(np.float64)
        return points.min(0), points.max(0)


class ShapeBuilder:
    """Collects primitives and hands them over as one `Shape`."""

    def __init__(self) -> None:
        """Start empty."""
        self._polygons: list[list[Sequence[float]]] = []
        self._polygon_meta: list[tuple[int, bool, Surface]] = []
        self._capsules: list[tuple[Point, Point, float, float]] = []
        self._capsule_meta: list[tuple[int, Surface]] = []

    def polygon(
        self,
        corners: Sequence[Sequence[float]] | NDArray[np.floating],
        surface: Surface,
        *,
        rank: int = 0,
        outward: Sequence[float] | NDArray[np.floating] | None = None,
    ) -> None:
        """Add a flat convex polygon of 3..8 corners; without `outward` both sides show."""
        # Plain lists: a town has thirty thousand polygons, and numpy is slow with small things.
        points = corners.tolist() if isinstance(corners, np.ndarray) else list(corners)
        if outward is not None and _turns_away(points, outward):
            points.reverse()
        self._polygons.append(points + [points[-1]] * (CORNERS - len(points)))
        self._polygon_meta.append((rank, outward is None, surface))

    def capsule(
        self,
        start: Point,
        end: Point,
        radius: float,
        surface: Surface,
        *,
        end_radius: float | None = None,
        rank: int = 0,
    ) -> None:
        """Add a round-ended rod; equal ends make a ball."""
        radius_end = radius if end_radius is None else end_radius
        self._capsules.append((start, end, radius, radius_end))
        self._capsule_meta.append((rank, surface))

    def box(
        self,
        low: Point,
        high: Point,
        surface: Surface,
        *,
        top: Surface | None = None,
        rank: int = 0,
    ) -> None:
        """Add the sides and the top of an axis-aligned box."""
        (x0, y0, z0), (x1, y1, z1) = low, high
        sides = (
            ([(x1, y0, z0), (x1, y1, z0), (x1, y1, z1), (x1, y0, z1)], (1, 0, 0)),
            ([(x0, y0, z0), (x0, y1, z0), (x0, y1, z1), (x0, y0, z1)], (-1, 0, 0)),
            ([(x0, y1, z0), (x1, y1, z0), (x1, y1, z1), (x0, y1, z1)], (0, 1, 0)),
            ([(x0, y0, z0), (x1, y0, z0), (x1, y0, z1), (x0, y0, z1)], (0, -1, 0)),
        )
        for corners, outward in sides:
            self.polygon(corners, surface, rank=rank, outward=outward)
        roof = [(x0, y0, z1), (x1, y0, z1), (x1, y1, z1), (x0, y1, z1)]
        self.polygon(roof, top or surface, rank=rank, outward=(0, 0, 1))

    def ground_patch(
        self, corners: Sequence[tuple[float, float]], surface: Surface, *, height_m: float = 0.0
    ) -> None:
        """Add a convex patch that lies on the ground."""
        points = [(x, y, height_m) for x, y in corners]
        self.polygon(points, surface, rank=GROUND_RANK)

    def build(self) -> Shape:
        """Freeze what was added."""
        ranks, two_sided, surfaces = zip(*self._polygon_meta) if self._polygon_meta else ((),) * 3
        capsule_ranks, capsule_surfaces = (
            zip(*self._capsule_meta) if self._capsule_meta else ((), ())
        )
        polygons = np.array(self._polygons, np.float32).reshape(-1, CORNERS, 3)
        axes = np.array([c[:2] for c in self._capsules], np.float32).reshape(-1, 2, 3)
        return Shape(
            polygons=polygons,
            polygon_ranks=np.array(ranks, np.int32),
            two_sided=np.array(two_sided, bool),
            polygon_surfaces=np.array(surfaces, np.float32).reshape(-1, COLUMNS),
            capsules=axes,
            radii=np.array([c[2:] for c in self._capsules], np.float32).reshape(-1, 2),
            capsule_ranks=np.array(capsule_ranks, np.int32),
            capsule_surfaces=np.array(capsule_surfaces, np.float32).reshape(-1, COLUMNS),
        )


def inset(corners: ArrayLike, keep: float) -> NDArray[np.float64]:
    """Shrink a polygon towards its middle, `keep` = 1 leaves it as it is."""
    points = np.asarray(corners, np.float64)
    middle = points.mean(0)
    return middle + (points - middle) * keep


def _turns_away(
    corners: Sequence[Sequence[float]], outward: Sequence[float] | NDArray[np.floating]
) -> bool:
    """Whether the normal by Newell's sum points against `outward`; numpy is slower here."""
    nx = ny = nz = 0.0
    for (x0, y0, z0), (x1, y1, z1) in zip(corners, [*corners[1:], corners[0]]):
        nx += (y0 - y1) * (z0 + z1)
        ny += (z0 - z1) * (x0 + x1)
        nz += (x0 - x1) * (y0 + y1)
    return bool(nx * outward[0] + ny * outward[1] + nz * outward[2] < 0)
