"""Whether a network answers several frames together faster than one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable

_WORTH = 0.95  # what takes hardly less time is within what measuring it is good for


@dataclass(frozen=True)
class Batches:
    """How many frames go together, as measured.

    Attributes:
        times_s: seconds that 1, 2, ... frames take in one call, from frames to results.
        kinds: of calls that were measured or warmed up; all others run alone.
        problem: why more are not tried; empty if nothing has failed.
    """

    times_s: tuple[float, ...] = ()
    kinds: frozenset[Hashable] = frozenset()
    problem: str = ''

    @property
    def most(self) -> int:
        """Frames that go together at most: the last number that paid."""
        number = 1
        while number < len(self.times_s) and self.pays(number + 1):
            number += 1
        return number

    def pays(self, number: int) -> bool:
        """Tell whether a call with `number` frames is faster than several with fewer."""
        return self.times_s[number - 1] <= _WORTH * self._apart_s(number)

    def size(self, kind: Hashable, ready: int) -> int:
        """Return how many of `ready` frames of a kind go together."""
        return min(ready, self.most) if kind in self.kinds else 1

    def bound_s(self, cameras: int) -> float | None:
        """Return within how many seconds the frame of one of so many cameras is answered.

        Each camera asks for one at a time, and the oldest goes first. So a frame waits for at most
        one of every other camera, in whatever calls, none of which takes longer than its frames
        alone, and `patience_s` after each; then for its own call, which newer ones may share. None
        if nothing was measured.
        """
        if not self.times_s:
            return None
        others_s = (cameras - 1) * (self.times_s[0] + self.patience_s)
        return others_s + self.times_s[self.most - 1]

    @property
    def patience_s(self) -> float:
        """Seconds that waiting for a larger batch may take: what one gains at least."""
        return (1 - _WORTH) * self.times_s[0] if self.most > 1 else 0.0

    @property
    def text(self) -> str:
        """What was found, for people."""
        if self.most > 1:
            share = self.times_s[self.most - 1] / (self.most * self.times_s[0])
            found = f'up to {self.most} together, which take {share:.2f} of their time apart'
        elif len(self.times_s) > 1:
            share = self.times_s[1] / (2 * self.times_s[0])
            found = f'one at a time: two together take {share:.2f} of their time apart'
        else:
            found = 'one at a time'
        return f'{found}; {self.problem}' if self.problem else found

    def below(self, number: int, error: str) -> Batches:
        """Return what is left where so many together have failed."""
        problem = f'{number} together failed: {error}'
        return Batches(self.times_s[: number - 1], self.kinds, problem)

    def _apart_s(self, number: int) -> float:
        """Return the least time of so many frames in two or more calls."""
        least = [0.0]
        for size in range(1, number + 1):
            apart = [least[part] + least[size - part] for part in range(1, size // 2 + 1)]
            least.append(min([*apart, self.times_s[size - 1]] if size < number else apart))
        return least[number]
