"""What became of the images that a camera sent to one node."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from thermal_perception.cli.benchmark.listener import Arrivals

SETTLE = 5
"""Images, or answers, at the start of a turn that are not measured: queues are filling."""

# Values of each status that count images without an answer.
_CAUSES = {
    'thermal input': ('dropped ',),
    'synchronisation': ('thermal late', 'thermal duplicate'),
    'perception': ('replaced', 'discarded', 'failed '),
}


@dataclass(frozen=True)
class Timing:
    """Median and 99th percentile of many values, milliseconds."""

    median_ms: float
    p99_ms: float

    @classmethod
    def of(cls, values_ms: Sequence[float]) -> Timing:
        """Summarise at least one value."""
        median, p99 = np.percentile(np.asarray(values_ms, np.float64), (50, 99))
        return cls(float(median), float(p99))

    def to_json(self, prefix: str = '') -> dict[str, float]:
        """Return the values by name."""
        return {f'{prefix}median_ms': self.median_ms, f'{prefix}p99_ms': self.p99_ms}


@dataclass(frozen=True)
class Fates:
    """Where images ended.

    Attributes:
        sent: by the camera.
        answered: by the node.
        given_up: by the node, counted by cause.
    """

    sent: int = 0
    answered: int = 0
    given_up: Mapping[str, int] = field(default_factory=dict)

    @property
    def causes(self) -> dict[str, int]:
        """The causes that there were."""
        return {cause: count for cause, count in self.given_up.items() if count}

    @property
    def lost(self) -> int:
        """Images that nobody has counted: the transport lost them."""
        return self.sent - self.answered - sum(self.given_up.values())

    def to_json(self) -> dict[str, Any]:
        """Return the counts by name."""
        counts = {'sent': self.sent, 'answered': self.answered}
        return {**counts, 'given_up': self.causes, 'lost': self.lost}


@dataclass(frozen=True)
class Turn:
    """A stretch of time in which the camera sent to one node.

    Attributes:
        sent_ns: stamps of all images sent in it.
        answers: those that are measured.
        answered: how many images were answered, also those that are not measured.
        cores: processor cores that the node kept busy while images came.
    """

    sent_ns: Sequence[int]
    answers: Arrivals
    answered: int
    cores: float

    @property
    def input_hz(self) -> float:
        """Images per second, as they were really sent."""
        if len(self.sent_ns) < 2:
            return 0.0
        return (len(self.sent_ns) - 1) * 1e9 / (self.sent_ns[-1] - self.sent_ns[0])

    @property
    def share(self) -> float:
        """Part of the images that were answered, 0..1, without the first `SETTLE`."""
        settled = set(self.sent_ns[SETTLE:])
        return len(settled & set(self.answers.stamps_ns)) / len(settled) if settled else 0.0

    @property
    def age(self) -> Timing:
        """From stamp to arrival."""
        return Timing.of(self.answers.ages_ms)


def fates_of(turns: Iterable[Turn], given_up: Mapping[str, int]) -> Fates:
    """Return where the images of all these turns ended."""
    turns = list(turns)
    return Fates(
        sum(len(turn.sent_ns) for turn in turns), sum(turn.answered for turn in turns), given_up
    )


def given_up(statuses: Mapping[str, Mapping[str, str]]) -> Counter[str]:
    """Return how many thermal images a node has given up so far, by cause.

    Args:
        statuses: of its /diagnostics, values by name of the status.
    """
    counts: Counter[str] = Counter()
    for status, causes in _CAUSES.items():
        for name, value in statuses.get(status, {}).items():
            if name.startswith(causes):
                counts[name] += int(value)
    return counts
