"""More images than a node can answer: where that begins, and what it makes of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TYPE_CHECKING

import numpy as np

from thermal_perception.cli.benchmark.turn import Fates, Timing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from thermal_perception.cli.benchmark.turn import Turn

ANSWERS_ALL = 0.98
"""Part of the images whose answers count as all: a busy machine stalls now and then."""
OVERLOAD = 2.0
"""Times the rate that a node reaches."""
MAX_GROWTH = 1.2
"""Age in the last third of an overload by that in the first, where nothing piles up."""
MAX_HZ = 500.0
# Input rates, as multiples of the rate that the node reaches.
_RATES = (0.5, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5)
# Where the last of them is answered in full, the machine has become less busy.
_BEYOND = 1.5
# A camera that reaches less of what it is asked for measures itself.
_KEEPS_UP = 0.9


@dataclass
class Sweep:
    """Rising input rates for one node, until it fails to answer all at two of them in a row.

    Attributes:
        reached_hz: answers a second when there are more images than it can answer.
        turns: one for each rate so far.
        exhausted: the camera did not reach the last rate.
    """

    reached_hz: float
    turns: list[Turn] = field(default_factory=list)
    exhausted: bool = False

    @property
    def next_hz(self) -> float | None:
        """The rate to try now, None if enough is known."""
        failed = [turn.share < ANSWERS_ALL for turn in self.turns]
        if self.exhausted or (len(failed) > 1 and all(failed[-2:])):
            return None
        beyond = max(0, len(failed) + 1 - len(_RATES))
        rate_hz = self.reached_hz * _RATES[: len(failed) + 1][-1] * _BEYOND**beyond
        return rate_hz if rate_hz <= MAX_HZ else None

    def add(self, asked_hz: float, turn: Turn) -> None:
        """Note what came of a rate."""
        self.turns.append(turn)
        self.exhausted = turn.input_hz < _KEEPS_UP * asked_hz

    @property
    def saturation_hz(self) -> float | None:
        """The highest input rate at which all was answered, None if there was none."""
        return max((t.input_hz for t in self.turns if t.share >= ANSWERS_ALL), default=None)

    @property
    def saturated(self) -> bool:
        """True if there were rates at which not all was answered."""
        return any(turn.share < ANSWERS_ALL for turn in self.turns)

    def to_json(self) -> dict[str, Any]:
        """Return all rates, and where the node saturates."""
        steps = [
            {
                'input_hz': turn.input_hz,
                'answered_share': turn.share,
                'output_hz': turn.answers.rate_hz,
                **turn.age.to_json('age_'),
                'cores': turn.cores,
            }
            for turn in self.turns
        ]
        return {'saturation_hz': self.saturation_hz, 'saturated': self.saturated, 'steps': steps}


def raise_rates(nodes: Sequence[tuple[Sweep, Callable[[float], Turn]]]) -> None:
    """Let nodes take turns at rising rates, each until enough is known of it.

    Args:
        nodes: the sweep of each, and what lets it take a turn at a rate.
    """
    while going := [(sweep, take) for sweep, take in nodes if sweep.next_hz is not None]:
        for sweep, take in going:
            rate_hz = sweep.next_hz
            assert rate_hz is not None
            sweep.add(rate_hz, take(rate_hz))


@dataclass(frozen=True)
class Overload:
    """A turn with more images than the node can answer.

    Attributes:
        turn: what came of it.
        fates: where its images ended.
    """

    turn: Turn
    fates: Fates

    @property
    def slope_ms_per_s(self) -> float:
        """Milliseconds by which answers get older with every second."""
        stamps_s = np.array(self.turn.answers.stamps_ns) * 1e-9
        times_s = stamps_s - stamps_s.mean()
        ages_ms = np.array(self.turn.answers.ages_ms)
        spread = float(times_s @ times_s)
        return float(times_s @ ages_ms) / spread if spread else 0.0

    @property
    def thirds_ms(self) -> tuple[float, float]:
        """Median age in the first and in the last third of the answers."""
        ages_ms = self.turn.answers.ages_ms
        third = -(-len(ages_ms) // 3)
        return Timing.of(ages_ms[:third]).median_ms, Timing.of(ages_ms[-third:]).median_ms

    @property
    def growth(self) -> float:
        """Age in the last third by age in the first."""
        first_ms, last_ms = self.thirds_ms
        return last_ms / first_ms

    def to_json(self) -> dict[str, Any]:
        """Return the values by name."""
        first_ms, last_ms = self.thirds_ms
        return {
            'input_hz': self.turn.input_hz,
            'output_hz': self.turn.answers.rate_hz,
            **self.turn.age.to_json('age_'),
            'age_first_third_ms': first_ms,
            'age_last_third_ms': last_ms,
            'age_growth': self.growth,
            'age_slope_ms_per_s': self.slope_ms_per_s,
            'cores': self.turn.cores,
            'frames': self.fates.to_json(),
        }
