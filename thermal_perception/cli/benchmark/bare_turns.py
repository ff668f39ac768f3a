"""Turns of the network alone, in a process that rests between them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from thermal_perception.errors import ThermalPerceptionError

if TYPE_CHECKING:
    from collections.abc import Callable

    from thermal_perception.cli.processes import Child

_LOOK_AGAIN_S = 0.02
# The pause is in the time of the call that it interrupted.
_SKIP = 2


class BareTurns:
    """Lets a `bare_loop` run until it has made enough calls, then halts it."""

    def __init__(self, loop: Child, watch: Callable[[], None], limit_s: float) -> None:
        """Wait until the loop makes its calls, and halt it.

        Args:
            loop: the process.
            watch: called now and then; raises to give up.
            limit_s: seconds that a turn may take.
        """
        self._loop, self._watch, self._limit_s = loop, watch, limit_s
        self.take(0)

    def take(self, calls: int) -> float:
        """Return the rate of so many calls, per second; 0 for no calls."""
        before = len(self._lines())
        first = before + _SKIP
        self._loop.resume()
        deadline = time.monotonic() + self._limit_s
        while len(self._lines()) < first + calls:
            if time.monotonic() > deadline:
                made = max(0, len(self._lines()) - first)
                raise ThermalPerceptionError(
                    f'network alone: {made} calls within {self._limit_s:.0f} s, expected {calls}'
                )
            self._watch()
            time.sleep(_LOOK_AGAIN_S)
        self._loop.pause()
        times_ms = [float(line) for line in self._lines()[first : first + calls]]
        return 1000 * calls / sum(times_ms) if times_ms else 0.0

    def _lines(self) -> list[str]:
        """Return the complete lines printed so far; the first describes the network."""
        return self._loop.log.read_text().rpartition('\n')[0].splitlines()
