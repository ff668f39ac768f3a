"""Counters, rates and latencies that callbacks write and diagnostics read. Thread-safe, no ROS."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
import threading
import time
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

REPORTS = 3
"""An event is told in so many reports."""

# A rate is known well enough from so many events.
_MAX_EVENTS = 4096


class EventCounter:
    """Counts events by name, in total and of late.

    Of late is counted in reports, not in seconds: a machine that stalls still reports every event.
    """

    def __init__(self, report: Callable[[], int]) -> None:
        """Count; `report` gives the number of the next report, it never goes down."""
        self._report = report
        self._lock = threading.Lock()
        self._totals: Counter[str] = Counter()
        self._by_report: dict[int, Counter[str]] = {}

    def add(self, name: str, count: int = 1) -> None:
        """Count `count` events of this name now."""
        with self._lock:
            self._totals[name] += count
            self._by_report.setdefault(self._report(), Counter())[name] += count
            self._forget()

    def total(self, name: str) -> int:
        """Return how many there were since the start."""
        with self._lock:
            return self._totals[name]

    @property
    def totals(self) -> dict[str, int]:
        """Counts since the start, by name."""
        with self._lock:
            return dict(self._totals)

    @property
    def recent(self) -> Counter[str]:
        """Counts to be told in the next report: each event is in `REPORTS` of them."""
        with self._lock:
            self._forget()
            return sum(self._by_report.values(), Counter())

    def _forget(self) -> None:
        now = self._report()
        for old in [report for report in self._by_report if report <= now - REPORTS]:
            del self._by_report[old]


class RateMeter:
    """Rate of an event over the last few seconds, and the time since the last one."""

    def __init__(self, window_s: float = 3.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._window_s = window_s
        self._clock = clock
        self._lock = threading.Lock()
        self._started = clock()
        self._times: deque[float] = deque(maxlen=_MAX_EVENTS)
        self._last: float | None = None

    def tick(self) -> None:
        """Note one event now."""
        with self._lock:
            self._last = self._clock()
            self._times.append(self._last)

    @property
    def hz(self) -> float:
        """Events per second; 0 with fewer than two in the window."""
        with self._lock:
            now = self._clock()
            while self._times and self._times[0] < now - self._window_s:
                self._times.popleft()
            if len(self._times) < 2:
                return 0.0
            span = self._times[-1] - self._times[0]
            return (len(self._times) - 1) / span if span > 0 else 0.0

    @property
    def silent_s(self) -> float:
        """Seconds since the last event, or since the start if there was none."""
        with self._lock:
            return self._clock() - (self._started if self._last is None else self._last)

    @property
    def seen(self) -> bool:
        """True once there was an event."""
        return self._last is not None


@dataclass(frozen=True)
class Latency:
    """Median and 99th percentile of one stage, milliseconds."""

    median_ms: float
    p99_ms: float


class StageTimes:
    """Durations of the stages of the last `window` frames."""

    def __init__(self, window: int) -> None:
        self._lock = threading.Lock()
        self._window = window
        self._stages: dict[str, deque[float]] = {}

    def add(self, stages_s: Mapping[str, float]) -> None:
        """Note the durations of one frame, seconds by stage."""
        with self._lock:
            for name, duration_s in stages_s.items():
                self._stages.setdefault(name, deque(maxlen=self._window)).append(duration_s)

    @property
    def summary(self) -> dict[str, Latency]:
        """Median and 99th percentile per stage, in the order the stages first came."""
        with self._lock:
            stages = {name: np.array(values) for name, values in self._stages.items()}
        return {
            name: Latency(*(float(v) for v in np.percentile(values, (50, 99)) * 1e3))
            for name, values in stages.items()
        }
