"""A scene: a world, the base that moves through it, and everybody's pose at any time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TYPE_CHECKING

import numpy as np

from thermal_perception.errors import SimulationError
from thermal_perception.geometry.transforms import from_xyz_rpy
from thermal_perception.simulation.aerial import build_aerial
from thermal_perception.simulation.bank import PrimitiveBank
from thermal_perception.simulation.camera import PRESETS
from thermal_perception.simulation.climate import draw_climate
from thermal_perception.simulation.conditions import condition_named
from thermal_perception.simulation.intersection import build_intersection
from thermal_perception.simulation.road import build_road

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thermal_perception.simulation.camera import Preset

BEHIND_M = 38.0  # how much of a repeating world lies behind the base
TWIST_STEP_S = 1e-3
ROAD_PITCH_DEG = 3.0


class Odometry(NamedTuple):
    """Pose and speed of the base.

    Attributes:
        T_world_base: (4, 4) float64, base frame (x ahead, y left, z up) to world frame.
        linear_mps: (3,) velocity in the base frame.
        angular_radps: (3,) turn rate in the base frame.
    """

    T_world_base: NDArray[np.float64]
    linear_mps: NDArray[np.float64]
    angular_radps: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Poses:
    """Where all actors are at one time.

    Attributes:
        xyz: (N, 3) float64, world frame.
        yaw: (N,) float64 radians.
        walked: (N,) float64 metres.
    """

    xyz: NDArray[np.float64]
    yaw: NDArray[np.float64]
    walked: NDArray[np.float64]


class Scene:
    """A small world that is the same for the same preset, condition and seed.

    Attributes:
        preset: `road`, `aerial` or `intersection`.
        seed: what it was drawn from.
        condition: constants of its weather.
        world: its climate, ground and actors.
        pitch_deg: how far down its cameras had better look.

    Example:
        scene = Scene('road', 'night', seed=7)
        frame = render(scene, 1.5, default_rig('road').thermal)
        frame.image, frame.truth.detections
    """

    def __init__(self, preset: Preset, condition: str = 'day', seed: int = 0) -> None:
        """Lay out the world; takes about a second.

        Raises:
            SimulationError: if the preset or condition is unknown, or the seed is negative.
        """
        if preset not in PRESETS:
            raise SimulationError(f'preset: found {preset!r}, expected {" or ".join(PRESETS)}')
        if seed < 0:
            raise SimulationError(f'seed: found {seed}, expected 0 or more')
        self.preset, self.seed = preset, seed
        self.condition = condition_named(condition)
        rng = np.random.default_rng([seed, PRESETS.index(preset)])
        climate = draw_climate(self.condition, rng)
        if preset == 'road':
            self.world, self.pitch_deg = build_road(rng, climate), ROAD_PITCH_DEG
        elif preset == 'intersection':
            self.world, self.pitch_deg = build_intersection(rng, climate), ROAD_PITCH_DEG
        else:
            self.world, self.pitch_deg = build_aerial(rng, climate)
        self.bank = PrimitiveBank.from_actors(self.world.actors)
        self._moving = [i for i, a in enumerate(self.world.actors) if not a.motion.still]
        self._rest = np.array([a.motion.pose(0.0) for a in self.world.actors], np.float64)

    def pose(self, time_s: float) -> NDArray[np.float64]:
        """(4, 4) float64 T_world_base."""
        at = self.world.base.pose(time_s)
        return from_xyz_rpy((at.x, at.y, at.z), (0.0, 0.0, at.yaw))

    def odometry(self, time_s: float) -> Odometry:
        """Pose and twist of the base; the twist by central differences over 2 ms."""
        before = self.world.base.pose(time_s - TWIST_STEP_S)
        after = self.world.base.pose(time_s + TWIST_STEP_S)
        T = self.pose(time_s)
        step = 2 * TWIST_STEP_S
        velocity = (np.array(after[:3]) - np.array(before[:3])) / step
        turn = np.array([0.0, 0.0, (after.yaw - before.yaw) / step])
        return Odometry(T, T[:3, :3].T @ velocity, turn)

    def poses(self, time_s: float) -> Poses:
        """Poses of all actors; in a repeating world, of the copy nearest ahead of the base."""
        rows = self._rest.copy()
        for index in self._moving:
            rows[index] = self.world.actors[index].motion.pose(time_s)
        if self.world.period_m is not None:
            start = self.world.base.pose(time_s).x - BEHIND_M
            rows[:, 0] = start + np.mod(rows[:, 0] - start, self.world.period_m)
        return Poses(rows[:, :3], rows[:, 3], rows[:, 4])
