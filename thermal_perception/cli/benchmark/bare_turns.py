"""Turns of the network alone, in a process that rests between them."""

from __future__ import annotations

import json
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
    """Lets a `bare_loop` run until it has made enough calls, then halts it.

    Attributes:
        name: of the backend.
        precision: of the network's inner values.
    """

    def __init__(self, loop: Child, watch: Callable[[], None], limit_s: float) -> None:
        """Wait until the loop makes its calls, and halt it.

        Args:
            loop: the process.
            watch: called now and then; raises to give up.
            limit_s: seconds that a turn, or the start, may take.
        """
        self._loop, self._watch, self._limit_s = loop, watch, limit_s
        self.take(0)
        what = json.loads(loop.lines[0])
        self.name, self.precision = str(what['name']), str(what['precision'])

    def take(self, calls: int) -> list[float]:
        """Return the milliseconds of so many calls."""
        before = len(self._loop.lines)
        first = before + _SKIP
        self._loop.resume()
        deadline = time.monotonic() + self._limit_s
        while len(self._loop.lines) < first + calls:
            if time.monotonic() > deadline:
                made = max(0, len(self._loop.lines) - first)
                raise ThermalPerceptionError(
                    f'network alone: {made} calls within {self._limit_s:.0f} s, expected {calls}'
                )
            self._watch()
            time.sleep(_LOOK_AGAIN_S)
        self._loop.pause()
        return [float(line) for line in self._loop.lines[first : first + calls]]
