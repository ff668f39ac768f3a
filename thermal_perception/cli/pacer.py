"""Bag time against wall time: when a recorded message is due, and when `/clock` ticks."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Pacer:
    """Says when a message of the bag is due, and keeps `/clock` ticking while waiting."""

    def __init__(
        self,
        bag_start_ns: int,
        rate: float,
        tick_s: float,
        on_tick: Callable[[int], None],
        *,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Start bag time now.

        Args:
            bag_start_ns: bag time of this moment, nanoseconds.
            rate: bag seconds per second.
            tick_s: seconds between two calls of `on_tick`; 0 for none.
            on_tick: takes the bag time in nanoseconds.
            now: seconds of a steady clock.
            sleep: waits that many seconds.
        """
        self._bag_start_ns, self._rate = bag_start_ns, rate
        self._tick_s, self._on_tick = tick_s, on_tick
        self._now, self._sleep = now, sleep
        self._start = self._next_tick = now()
        self.worst_lag_s = 0.0

    def wait_until(self, bag_ns: int) -> None:
        """Return when the bag time `bag_ns` has come."""
        due = self._start + (bag_ns - self._bag_start_ns) * 1e-9 / self._rate
        while True:
            now = self._now()
            if self._tick_s and now >= self._next_tick:
                self._tick(min(now, due))
            if now >= due:
                self.worst_lag_s = max(self.worst_lag_s, now - due)
                return
            end = min(due, self._next_tick) if self._tick_s else due
            self._sleep(max(0.0, end - now))

    def _tick(self, wall: float) -> None:
        """Publish the bag time of `wall`, and drop ticks that were slept through."""
        self._on_tick(self._bag_start_ns + round((wall - self._start) * self._rate * 1e9))
        missed = max(0, int((wall - self._next_tick) / self._tick_s))
        self._next_tick += (missed + 1) * self._tick_s
