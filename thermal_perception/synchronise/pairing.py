"""Find the RGB image that belongs to each thermal image, by stamps alone.

Thermal leads: every thermal item comes out once, in order of stamps, with the nearest RGB item or
alone. An RGB item may serve several thermal items, so that a 60 Hz thermal camera keeps its pace
beside a 30 Hz RGB camera.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, deque
from dataclasses import dataclass
import math
from typing import Generic, Literal, TYPE_CHECKING, TypeVar

from thermal_perception.errors import ConfigError, SynchroniseError
from thermal_perception.synchronise.offset import OffsetEstimate, OffsetEstimator

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thermal_perception.types import Modality

T = TypeVar('T')

Fate = Literal['paired', 'degraded', 'late', 'duplicate', 'expired', 'replaced']


@dataclass(frozen=True)
class PairingConfig:
    """How far apart two images of one moment may be, and how long one waits for the other.

    Attributes:
        max_offset_s: largest difference of stamps within a pair, after `time_offset_s`.
        time_offset_s: RGB stamp minus thermal stamp of the same moment, a constant of the rig.
        max_wait_s: longest time a thermal item waits for its RGB item, on the clock of arrival.
        rgb_timeout_s: after this long without any RGB item, thermal items no longer wait.
        rgb_min_period_s: RGB stamps are known to lie at least this far apart; 0 if unknown. A
            thermal item then takes an RGB item that no later one can beat at once, instead of
            waiting for the next one to be sure.
        jump_back_s: a stamp this far before the newest of its stream restarts the pairing.
        capacity: largest number of items kept per stream.
    """

    max_offset_s: float = 0.02
    time_offset_s: float = 0.0
    max_wait_s: float = 0.1
    rgb_timeout_s: float = 1.0
    rgb_min_period_s: float = 0.0
    jump_back_s: float = 1.0
    capacity: int = 32

    def __post_init__(self) -> None:
        """Refuse negative durations and an empty memory."""
        durations = ('max_offset_s', 'max_wait_s', 'rgb_timeout_s', 'rgb_min_period_s')
        for name in (*durations, 'jump_back_s'):
            if not 0.0 <= getattr(self, name) < math.inf:
                raise ConfigError(f'{name}: found {getattr(self, name)}, expected at least 0')
        if not math.isfinite(self.time_offset_s):
            raise ConfigError(f'time_offset_s: found {self.time_offset_s}, expected a number')
        if self.capacity < 1:
            raise ConfigError(f'capacity: found {self.capacity}, expected at least 1')


@dataclass(frozen=True)
class Pair(Generic[T]):
    """A thermal item and the RGB item of the same moment, if there is one.

    Attributes:
        thermal: the thermal item.
        rgb: the nearest RGB item; None means degraded, thermal only.
        stamp_ns: stamp of the thermal item.
        offset_ns: how much later the RGB item was seen, after `time_offset_s`; None without one.
    """

    thermal: T
    rgb: T | None
    stamp_ns: int
    offset_ns: int | None


@dataclass(frozen=True)
class _Waiting(Generic[T]):
    """A thermal item that is not decided yet."""

    stamp_ns: int
    deadline_ns: int
    item: T


@dataclass
class _Kept(Generic[T]):
    """An RGB item in memory, and whether a thermal item took it."""

    item: T
    taken: bool = False


class Pairing(Generic[T]):
    """Pairs items of any type; pure logic, not thread-safe.

    Every item pushed ends in exactly one counted fate:

    ==========  ============  ================================================================
    fate        of            meaning
    ==========  ============  ================================================================
    paired      thermal, rgb  came out in a pair (an RGB item: in at least one)
    degraded    thermal       came out alone
    late        thermal       arrived after a later thermal item, dropped
    late        rgb           arrived when no thermal item to come could choose it, dropped
    duplicate   thermal, rgb  has the stamp of an item still known, dropped
    expired     rgb           no thermal item to come can choose it any more
    replaced    rgb           gave way to a newer one, since `capacity` was reached
    ==========  ============  ================================================================

    Times of arrival (`now_ns`) are of the clock that `poll` is given, best a monotonic one; stamps
    are of the cameras' clock. The work per item is a binary search in at most `capacity` stamps.
    """

    def __init__(self, config: PairingConfig) -> None:
        """Start with nothing known."""
        self._max_offset_ns = _nanoseconds(config.max_offset_s)
        self._time_offset_ns = _nanoseconds(config.time_offset_s)
        self._max_wait_ns = _nanoseconds(config.max_wait_s)
        self._rgb_timeout_ns = _nanoseconds(config.rgb_timeout_s)
        self._rgb_min_period_ns = _nanoseconds(config.rgb_min_period_s)
        self._jump_back_ns = _nanoseconds(config.jump_back_s)
        self._capacity = config.capacity
        self._waiting: deque[_Waiting[T]] = deque()
        # RGB in memory: rising stamps after subtracting the time offset, and the items beside.
        self._stamps: list[int] = []
        self._kept: list[_Kept[T]] = []
        self._newest: dict[Modality, int] = {}
        self._decided_ns: int | None = None
        self._now_ns: int | None = None
        self._rgb_heard_ns = 0
        self._restarts = 0
        self._counts: dict[Modality, Counter[Fate]] = {'thermal': Counter(), 'rgb': Counter()}
        self._offset = OffsetEstimator()

    def push(self, modality: Modality, stamp_ns: int, item: T, now_ns: int) -> list[Pair[T]]:
        """Take an item; returns what can be decided now, in order of stamps.

        Args:
            modality: `thermal` or `rgb`.
            stamp_ns: when it was seen, nanoseconds, of the cameras' clock.
            item: anything.
            now_ns: when it arrived, nanoseconds, of the clock of `poll`.

        Raises:
            SynchroniseError: for an unknown modality.
        """
        if modality not in self._counts:
            raise SynchroniseError(f'found modality {modality!r}, expected thermal or rgb')
        if modality == 'rgb':
            stamp_ns -= self._time_offset_ns
        out = self._advance(now_ns)
        newest = self._newest.get(modality)
        if newest is not None and 0 < newest - stamp_ns >= self._jump_back_ns:
            out += self._restart(stamp_ns)
        if modality == 'thermal':
            out += self._push_thermal(stamp_ns, item, now_ns)
        else:
            self._push_rgb(stamp_ns, item, now_ns)
        return out + self._decide_ready(now_ns)

    def poll(self, now_ns: int) -> list[Pair[T]]:
        """Decide what has waited long enough; call it at `next_deadline_ns` or periodically."""
        return self._advance(now_ns) + self._decide_ready(now_ns)

    def flush(self) -> list[Pair[T]]:
        """Decide all that waits, for example at the end of a recording."""
        return [self._decide() for _ in range(len(self._waiting))]

    def rgb_silent(self, now_ns: int) -> bool:
        """True if no RGB item arrived for `rgb_timeout_s`, or since the start."""
        return self._now_ns is not None and now_ns - self._rgb_heard_ns >= self._rgb_timeout_ns

    @property
    def next_deadline_ns(self) -> int | None:
        """When `poll` will decide the next item at the latest; None if nothing waits."""
        if not self._waiting:
            return None
        return min(self._waiting[0].deadline_ns, self._rgb_heard_ns + self._rgb_timeout_ns)

    @property
    def counts(self) -> Mapping[Modality, Mapping[Fate, int]]:
        """Fates so far, per modality; an RGB item counts as paired when it is first taken."""
        return {modality: dict(fates) for modality, fates in self._counts.items()}

    @property
    def undecided(self) -> Mapping[Modality, int]:
        """Items without a fate yet: thermal that waits, RGB that no thermal took so far."""
        return {
            'thermal': len(self._waiting),
            'rgb': sum(not kept.taken for kept in self._kept),
        }

    @property
    def restarts(self) -> int:
        """How often stamps jumped back."""
        return self._restarts

    @property
    def offset(self) -> OffsetEstimate | None:
        """Measured RGB minus thermal time; compare with the configured `time_offset_s`."""
        estimate = self._offset.estimate
        if estimate is None:
            return None
        offset_s = estimate.offset_s + self._time_offset_ns * 1e-9
        return OffsetEstimate(offset_s, estimate.drift_s_per_s, estimate.samples)

    def _advance(self, now_ns: int) -> list[Pair[T]]:
        """Note the time of arrival. A clock that went back makes all deadlines meaningless."""
        out = []
        if self._now_ns is None or now_ns < self._now_ns:
            out = self.flush()
            self._rgb_heard_ns = now_ns
        self._now_ns = now_ns
        return out

    def _restart(self, stamp_ns: int) -> list[Pair[T]]:
        """Leave the old time line: forget streams that are far ahead of the new stamp.

        The other stream may have jumped already; then it is near and stays.
        """
        self._restarts += 1
        self._offset.reset()
        out: list[Pair[T]] = []
        if self._newest.get('thermal', stamp_ns) - stamp_ns >= self._jump_back_ns:
            out = self.flush()
            self._newest.pop('thermal', None)
            self._decided_ns = None
        if self._newest.get('rgb', stamp_ns) - stamp_ns >= self._jump_back_ns:
            self._drop_oldest(len(self._kept), 'expired')
            self._newest.pop('rgb', None)
        return out

    def _push_thermal(self, stamp_ns: int, item: T, now_ns: int) -> list[Pair[T]]:
        newest = self._newest.get('thermal')
        if newest is not None and stamp_ns <= newest:
            self._counts['thermal']['duplicate' if stamp_ns == newest else 'late'] += 1
            return []
        self._newest['thermal'] = stamp_ns
        self._offset.push('thermal', stamp_ns)
        self._waiting.append(_Waiting(stamp_ns, now_ns + self._max_wait_ns, item))
        return [self._decide()] if len(self._waiting) > self._capacity else []

    def _push_rgb(self, stamp_ns: int, item: T, now_ns: int) -> None:
        self._rgb_heard_ns = now_ns
        self._newest['rgb'] = max(stamp_ns, self._newest.get('rgb', stamp_ns))
        self._offset.push('rgb', stamp_ns)
        index = bisect_left(self._stamps, stamp_ns)
        if self._stamps[index : index + 1] == [stamp_ns]:
            self._counts['rgb']['duplicate'] += 1
            return
        self._stamps.insert(index, stamp_ns)
        self._kept.insert(index, _Kept(item))
        choosable = self._choosable_from()
        if index < choosable:
            del self._stamps[index], self._kept[index]
            self._counts['rgb']['late'] += 1
            return
        self._drop_oldest(choosable, 'expired')
        if len(self._stamps) > self._capacity:
            self._drop_oldest(1, 'replaced')

    def _decide_ready(self, now_ns: int) -> list[Pair[T]]:
        out = []
        while self._waiting and self._is_ready(self._waiting[0], now_ns):
            out.append(self._decide())
        return out

    def _is_ready(self, waiting: _Waiting[T], now_ns: int) -> bool:
        """True if no RGB item to come can be nearer, or it is time to stop waiting for one."""
        if now_ns >= waiting.deadline_ns or self.rgb_silent(now_ns):
            return True
        if not self._stamps:
            return False
        ahead_ns = waiting.stamp_ns - self._stamps[-1]
        return ahead_ns <= 0 or 2 * ahead_ns <= self._rgb_min_period_ns

    def _decide(self) -> Pair[T]:
        """Take the oldest waiting thermal item and its nearest RGB item, the earlier on a tie."""
        thermal = self._waiting.popleft()
        self._decided_ns = thermal.stamp_ns
        index = self._nearest(thermal.stamp_ns)
        pair: Pair[T] = Pair(thermal.item, None, thermal.stamp_ns, None)
        if index is not None:
            offset_ns = self._stamps[index] - thermal.stamp_ns
            if abs(offset_ns) <= self._max_offset_ns:
                kept = self._kept[index]
                if not kept.taken:
                    self._counts['rgb']['paired'] += 1
                kept.taken = True
                pair = Pair(thermal.item, kept.item, thermal.stamp_ns, offset_ns)
        self._counts['thermal']['degraded' if pair.offset_ns is None else 'paired'] += 1
        self._drop_oldest(self._choosable_from(), 'expired')
        return pair

    def _nearest(self, stamp_ns: int) -> int | None:
        """Index of the nearest RGB stamp, the earlier on a tie; None if there is none."""
        index = bisect_left(self._stamps, stamp_ns)
        neighbours = [i for i in (index - 1, index) if 0 <= i < len(self._stamps)]
        return min(neighbours, key=lambda i: abs(self._stamps[i] - stamp_ns), default=None)

    def _choosable_from(self) -> int:
        """Index of the first RGB item that a thermal item to come could choose.

        Thermal stamps to come lie at `decided + 1` or later. An RGB item before that has its best
        chance right there: if it is not the nearest then, or too far, it never will be chosen.
        """
        if self._decided_ns is None:
            return 0
        earliest_ns = self._decided_ns + 1
        nearest = self._nearest(earliest_ns)
        if nearest is None:
            return 0
        too_old = self._stamps[nearest] < earliest_ns - self._max_offset_ns
        return nearest + 1 if too_old else nearest

    def _drop_oldest(self, number: int, fate: Fate) -> None:
        """Drop RGB items from the old end; those never taken get `fate`."""
        untaken = sum(not kept.taken for kept in self._kept[:number])
        if untaken:
            self._counts['rgb'][fate] += untaken
        del self._stamps[:number], self._kept[:number]


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)
