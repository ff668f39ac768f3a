"""Estimate how far apart two cameras stamp the same moment, and whether that changes."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
import statistics
from typing import TYPE_CHECKING

from thermal_perception.errors import ConfigError, SynchroniseError

if TYPE_CHECKING:
    from thermal_perception.types import Modality

# A stream may run this many stamps ahead of the other before it no longer waits for it.
_LEAD = 64


@dataclass(frozen=True)
class OffsetEstimate:
    """What the last stamps of two streams say.

    Attributes:
        offset_s: median of RGB stamp minus nearest thermal stamp, seconds.
        drift_s_per_s: change of the offset per second; 1e-6 is a part per million. None until
            enough stamps are known.
        samples: number of differences behind the estimate.
    """

    offset_s: float
    drift_s_per_s: float | None
    samples: int


class OffsetEstimator:
    """Running median of the differences between nearest stamps of two streams.

    A difference counts when each of the two stamps is the nearest to the other; gaps in one stream
    and unequal rates then do no harm. Offsets beyond half the period of the slower camera cannot
    be told from smaller ones. Stamps may arrive late, but each stream in order.
    """

    def __init__(self, window: int = 601) -> None:
        """Make an estimator over the last `window` differences, 20 s at 30 Hz.

        Raises:
            ConfigError: if the window holds fewer than 3.
        """
        if window < 3:
            raise ConfigError(f'offset estimator: found window {window}, expected at least 3')
        self._samples: deque[tuple[int, int]] = deque(maxlen=window)
        self.reset()

    def reset(self) -> None:
        """Forget everything, for example after a jump in time."""
        self._samples.clear()
        self._ahead: dict[Modality, deque[int]] = {'thermal': deque(), 'rgb': deque()}
        self._last: dict[Modality, int] = {}
        self._latest: Modality | None = None
        self._candidate: tuple[Modality, int, int] | None = None

    def push(self, modality: Modality, stamp_ns: int) -> None:
        """Take the next stamp of a stream; stamps that are not later than the last are ignored.

        Raises:
            SynchroniseError: for an unknown modality.
        """
        if modality not in self._ahead:
            raise SynchroniseError(f'found modality {modality!r}, expected thermal or rgb')
        ahead = self._ahead[modality]
        if stamp_ns <= (ahead[-1] if ahead else self._last.get(modality, stamp_ns - 1)):
            return
        ahead.append(stamp_ns)
        thermal, rgb = self._ahead['thermal'], self._ahead['rgb']
        while (thermal and rgb) or len(ahead) > _LEAD:
            if not rgb or (thermal and thermal[0] <= rgb[0]):
                self._merge('thermal', thermal.popleft())
            else:
                self._merge('rgb', rgb.popleft())

    @property
    def estimate(self) -> OffsetEstimate | None:
        """The current estimate; None until one difference is known."""
        if not self._samples:
            return None
        offset_s = statistics.median(d for _, d in self._samples) * 1e-9
        return OffsetEstimate(offset_s, self._drift(), len(self._samples))

    def _merge(self, modality: Modality, stamp_ns: int) -> None:
        """Take the next stamp of both streams merged in order."""
        if stamp_ns < max(self._last.values(), default=stamp_ns):
            return  # the other stream stopped waiting for this one
        self._confirm(modality, stamp_ns)
        if self._latest not in (None, modality):
            self._propose(modality, stamp_ns)
        self._last[modality] = stamp_ns
        self._latest = modality

    def _propose(self, modality: Modality, stamp_ns: int) -> None:
        """Remember neighbours of unlike streams, if the older one has no nearer neighbour before.

        With `x` before `y`: the `y` before `x` must not be nearer to `x`.
        """
        other: Modality = 'rgb' if modality == 'thermal' else 'thermal'
        before, last = self._last[other], self._last.get(modality)
        if last is not None and before - last >= stamp_ns - before:
            self._candidate = (modality, before, stamp_ns)

    def _confirm(self, modality: Modality, stamp_ns: int) -> None:
        """Count the remembered neighbours, if the younger one has no nearer neighbour after."""
        if self._candidate is None or self._candidate[0] == modality:
            return
        younger, before, after = self._candidate
        self._candidate = None
        if stamp_ns - after >= after - before:
            gap = after - before
            self._samples.append((after, gap if younger == 'rgb' else -gap))

    def _drift(self) -> float | None:
        """Slope between the medians of the older and the younger half; robust to outliers."""
        half = len(self._samples) // 2
        if half < 2:
            return None
        samples = list(self._samples)
        t0, d0 = _medians(samples[:half])
        t1, d1 = _medians(samples[-half:])
        return (d1 - d0) / (t1 - t0)


def _medians(samples: list[tuple[int, int]]) -> tuple[float, float]:
    """Median time and median difference."""
    return statistics.median(t for t, _ in samples), statistics.median(d for _, d in samples)
