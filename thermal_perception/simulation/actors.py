"""What a scene is made of: actors, and the ground and sky round them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TYPE_CHECKING

import numpy as np

from thermal_perception.simulation import figures, vehicles
from thermal_perception.simulation.shapes import ShapeBuilder, Surface
from thermal_perception.simulation.terrain import FIRST_CLASS

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from thermal_perception.simulation.climate import Climate
    from thermal_perception.simulation.motion import Motion
    from thermal_perception.simulation.shapes import Shape
    from thermal_perception.simulation.terrain import Backdrop, Ground
    from thermal_perception.simulation.vehicles import VehicleKind

CLASS_NAMES = ('person', 'car', 'bicycle', 'other_vehicle')
PERSON, CAR, BICYCLE, OTHER_VEHICLE = range(4)
NO_CLASS = -1


@dataclass(frozen=True, eq=False)
class Figure:
    """The jointed part of an actor.

    Attributes:
        gait: `walk` swings legs by the way covered, `ride` turns pedals, `stand` does neither.
        height_m: of the person standing.
        surfaces: (limbs, 9) float32.
        stride: how far legs swing, 1 = brisk.
        phase: radians at the start of the way.
    """

    gait: Literal['walk', 'ride', 'stand']
    height_m: float
    surfaces: NDArray[np.float32]
    stride: float
    phase: float


@dataclass(frozen=True, eq=False)
class Actor:
    """One thing in the world.

    Attributes:
        label: index into `CLASS_NAMES`, or `NO_CLASS` for scenery.
        semantic: index into `SEMANTIC_NAMES`.
        motion: where it is at any time.
        shape: its rigid part; may be empty.
        low_m: (3,) lowest corner of its box in its own frame.
        high_m: (3,) highest corner.
        figure: its jointed part, if it has one.
    """

    label: int
    semantic: int
    motion: Motion
    shape: Shape
    low_m: NDArray[np.float64]
    high_m: NDArray[np.float64]
    figure: Figure | None = None

    @property
    def size_m(self) -> NDArray[np.float64]:
        """(3,) length, width, height."""
        return self.high_m - self.low_m


@dataclass(frozen=True, eq=False)
class World:
    """All of a scene that does not depend on time or camera.

    Attributes:
        climate: its weather.
        ground: map of the level ground.
        backdrop: what stands far ahead.
        actors: in order of their track ids, which are their positions here.
        base: motion of the moving base.
        period_m: the world repeats along x after this many metres; None if it does not.
    """

    climate: Climate
    ground: Ground
    backdrop: Backdrop
    actors: tuple[Actor, ...]
    base: Motion
    period_m: float | None


def scenery_actor(semantic: int, motion: Motion, shape: Shape) -> Actor:
    """Wrap something that is not to be detected."""
    low, high = shape.extent()
    return Actor(NO_CLASS, semantic, motion, shape, low, high)


def vehicle_actor(
    kind: VehicleKind, rng: Generator, climate: Climate, motion: Motion, *, running: bool
) -> Actor:
    """A car, or another vehicle by its kind."""
    profile = vehicles.draw_profile(kind, rng)
    shape = vehicles.vehicle(kind, rng, climate, moving=running, profile=profile)
    label = CAR if kind in vehicles.CAR_KINDS else OTHER_VEHICLE
    low, high = shape.extent()
    return Actor(label, FIRST_CLASS + label, motion, shape, low, high)


def person_actor(rng: Generator, climate: Climate, motion: Motion, *, walking: bool) -> Actor:
    """A grown person or a child with a patch of shade at the feet."""
    height = float(rng.normal(1.72, 0.09)) if rng.random() > 0.1 else float(rng.uniform(1.0, 1.5))
    figure = Figure(
        'walk' if walking else 'stand',
        height,
        figures.person_surfaces(rng, climate),
        float(rng.uniform(0.7, 1.1)) if walking else float(rng.uniform(0.0, 0.25)),
        float(rng.uniform(0.0, 2 * np.pi)),
    )
    half = 0.27 * height / 1.75
    low, high = np.array([-half, -half, 0.0]), np.array([half, half, height])
    shape = _person_extras(rng, climate, height)
    return Actor(PERSON, FIRST_CLASS + PERSON, motion, shape, low, high, figure)


def cyclist_actor(rng: Generator, climate: Climate, motion: Motion, *, motor: bool) -> Actor:
    """A bicycle or scooter with its rider; one `bicycle`."""
    shape = figures.bicycle(rng, climate, motor=motor, running=True)
    height = float(rng.normal(1.74, 0.08))
    surfaces = figures.person_surfaces(rng, climate)
    figure = Figure('ride', height, surfaces, 1.0, float(rng.uniform(0.0, 2 * np.pi)))
    low, high = shape.extent()
    high[2] = 1.02 * height
    return Actor(BICYCLE, FIRST_CLASS + BICYCLE, motion, shape, low, high, figure)


def parked_bicycle_actor(
    rng: Generator, climate: Climate, motion: Motion, *, motor: bool
) -> Actor:
    """A bicycle or scooter without a rider."""
    shape = figures.bicycle(rng, climate, motor=motor, running=False)
    low, high = shape.extent()
    return Actor(BICYCLE, FIRST_CLASS + BICYCLE, motion, shape, low, high)


def _person_extras(rng: Generator, climate: Climate, height: float) -> Shape:
    """Shade or warmth at the feet, and for some a rucksack or a bag."""
    builder = ShapeBuilder()
    shade = Surface(0.6 * climate.shadow_k, opacity=0.0, blue=-0.15, green=-0.15, red=-0.15)
    builder.ground_patch([(0.25, 0.2), (-0.25, 0.2), (-0.25, -0.2), (0.25, -0.2)], shade)
    scale = height / 1.75
    cold = Surface(climate.air + rng.uniform(0.5, 4.0), 0.95, 0.3)
    bag = cold.coloured(rng.uniform(0.05, 0.4, 3))
    if rng.random() < 0.3:
        low, high = (-0.19 * scale, 0.0, 1.12 * scale), (-0.19 * scale, 0.0, 1.34 * scale)
        builder.capsule(low, high, 0.14 * scale, bag)
    elif rng.random() < 0.2:
        at = (0.0, 0.3 * scale, 0.62 * scale)
        builder.capsule(at, (0.15, 0.3 * scale, 0.62 * scale), 0.12 * scale, bag)
    return builder.build()
