"""How things move: a pose for every time, without any state."""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


TURN_M = 0.6  # before and after a corner, the way over which the heading changes


class Pose(NamedTuple):
    """Where an upright thing stands in the world, and how far it has come.

    Attributes:
        x: metres ahead.
        y: metres to the left.
        z: metres up.
        yaw: radians, 0 along x, turning left.
        walked: metres covered since time zero; drives legs and pedals.
    """

    x: float
    y: float
    z: float
    yaw: float
    walked: float = 0.0


class Motion(Protocol):
    """Gives a pose for every time."""

    @property
    def still(self) -> bool:
        """Whether the pose never changes."""

    def pose(self, time_s: float) -> Pose:
        """Pose at a time in seconds."""


@dataclass(frozen=True)
class Standing:
    """Never moves."""

    x: float
    y: float
    yaw: float = 0.0
    z: float = 0.0
    still: bool = True

    def pose(self, time_s: float) -> Pose:
        """Return the same pose at all times."""
        return Pose(self.x, self.y, self.z, self.yaw)


@dataclass(frozen=True)
class Straight:
    """Moves along x at a constant speed that may be negative; faces where it goes.

    Attributes:
        wave_m: amplitude of a slow forward and backward sway, as drivers keep no exact gap.
        wave_s: its period.
    """

    x: float
    y: float
    speed: float
    wave_m: float = 0.0
    wave_s: float = 11.0
    still: bool = False

    def pose(self, time_s: float) -> Pose:
        """Pose on the line."""
        sway = self.wave_m * np.sin(2 * np.pi * time_s / self.wave_s)
        way = self.speed * time_s
        yaw = 0.0 if self.speed >= 0 else np.pi
        return Pose(self.x + way + sway, self.y, 0.0, yaw, abs(way))


class Track:
    """Follows a line of points at constant speed, to and fro or round and round."""

    still = False

    def __init__(
        self,
        points: ArrayLike,
        *,
        speed: float,
        start: float = 0.0,
        closed: bool = False,
    ) -> None:
        """Measure the line; `start` is the share of the way already covered at time zero."""
        line = np.asarray(points, np.float64)
        if closed:
            line = np.concatenate([line, line[:1]])
        steps = np.diff(line, axis=0)
        lengths = np.hypot(*steps.T)
        headings = np.unwrap(np.arctan2(steps[:, 1], steps[:, 0]))
        at = np.concatenate([[0.0], np.cumsum(lengths)])
        turn = np.minimum(TURN_M, lengths / 2)
        # Lists: a pose is asked for a thousand times a second, one number at a time.
        self._at = at.tolist()
        self._x, self._y = line[:, 0].tolist(), line[:, 1].tolist()
        self._turns_at = np.stack([at[:-1] + turn, at[1:] - turn], 1).ravel().tolist()
        self._headings = headings.repeat(2).tolist()
        self._closed, self._speed, self._start = closed, speed, start * self._at[-1]

    def pose(self, time_s: float) -> Pose:
        """Pose on the line; corners are turned over about a metre."""
        walked = self._start + self._speed * time_s
        length = self._at[-1]
        along, backwards = walked % length, False
        if not self._closed:
            along = walked % (2 * length)
            backwards = along > length
            along = 2 * length - along if backwards else along
        x = _interpolate(along, self._at, self._x)
        y = _interpolate(along, self._at, self._y)
        yaw = _interpolate(along, self._turns_at, self._headings)
        return Pose(x, y, 0.0, yaw + np.pi if backwards else yaw, walked)


def _interpolate(at: float, knots: list[float], values: list[float]) -> float:
    """As numpy.interp for one number, ten times as fast."""
    right = bisect.bisect_right(knots, at)
    if right == 0 or right == len(knots):
        return values[0] if right == 0 else values[-1]
    low, high = knots[right - 1], knots[right]
    share = (at - low) / (high - low)
    return values[right - 1] + share * (values[right] - values[right - 1])


class OneWay(Track):
    """Runs along a line and begins again; the line is long enough that nobody sees the jump."""

    def pose(self, time_s: float) -> Pose:
        """Pose on the line, always in its direction."""
        walked = self._start + self._speed * time_s
        pose = super().pose((walked % self._at[-1] - self._start) / self._speed)
        return pose._replace(walked=walked)


@dataclass(frozen=True)
class Cruise:
    """The base on a road: constant speed in its lane, with a little sway.

    Attributes:
        speed: metres per second.
        y: middle of the lane.
        sway_m: how far it drifts to either side.
    """

    speed: float
    y: float
    sway_m: float = 0.12
    still: bool = False

    def pose(self, time_s: float) -> Pose:
        """Pose in the lane, with the heading that the sway implies."""
        if self.speed == 0.0:
            return Pose(0.0, self.y, 0.0, 0.0)
        rate = 2 * np.pi / 9.0
        y = self.y + self.sway_m * np.sin(rate * time_s)
        yaw = np.arctan2(self.sway_m * rate * np.cos(rate * time_s), self.speed)
        return Pose(self.speed * time_s, y, 0.0, float(yaw), self.speed * time_s)


@dataclass(frozen=True)
class Hover:
    """A drone that drifts to and fro along its heading and turns slowly.

    Attributes:
        x: middle of the path, world frame.
        y: see x.
        altitude: metres above ground.
        yaw: mean heading, radians.
        reach_m: how far it goes to either side of the middle.
        period_s: time for there and back.
        turn_rad: how far the heading swings.
    """

    x: float
    y: float
    altitude: float
    yaw: float
    reach_m: float
    period_s: float
    turn_rad: float
    still: bool = False

    def pose(self, time_s: float) -> Pose:
        """Pose on the path."""
        turn = 2 * np.pi * time_s / self.period_s
        along = self.reach_m * np.sin(turn)
        yaw = self.yaw + self.turn_rad * np.sin(0.7 * turn)
        x, y = self.x + along * np.cos(self.yaw), self.y + along * np.sin(self.yaw)
        return Pose(x, y, self.altitude, yaw, along)
