"""What the demo has seen so far: plain arithmetic on messages, no ROS and no terminal."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any, TYPE_CHECKING

import numpy as np

from thermal_perception.evaluation.matching import count_matches, MatchCount, MatchingRules

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from thermal_perception.types import Detections

_WAITING = 300
"""Answers and truths kept while their counterpart is on its way."""
_RECENT = 100
_LEVELS = ('OK', 'WARN', 'ERROR', 'STALE')  # by the number in the message
_FATES = ('replaced', 'discarded', 'dropped', 'failed')
_SEVERITY = ('OK', 'WARN', 'STALE', 'ERROR')


@dataclass(frozen=True)
class NodeReport:
    """What the node says of itself in `/diagnostics`.

    Attributes:
        level: OK, WARN, ERROR or STALE.
        message: its sentence.
        values: key to text.
    """

    level: str = 'STALE'
    message: str = 'no diagnostics yet'
    values: Mapping[str, str] = field(default_factory=dict)

    @property
    def stages_ms(self) -> dict[str, tuple[str, str]]:
        """(median, p99) texts by stage, milliseconds."""
        ending = ' median [ms]'
        return {
            key.removesuffix(ending): (text, self.values.get(f'{stage} p99 [ms]', '-'))
            for key, text in self.values.items()
            if key.endswith(ending) and (stage := key.removesuffix(ending))
        }

    @property
    def not_processed(self) -> dict[str, int]:
        """Inputs that got no answer, by cause; `replaced` by a newer one is the usual."""
        counts = {}
        for key, text in self.values.items():
            fate, _, cause = key.partition(' ')
            if fate in _FATES and text.isdigit() and int(text):
                counts[cause or fate] = int(text)
        return counts


def report_of(statuses: Sequence[Any]) -> NodeReport:
    """Join the `diagnostic_msgs/DiagnosticStatus` of one node: the worst level speaks."""
    levels = [_LEVELS[min(_number(s.level), 3)] for s in statuses]
    worst = max(levels, key=_SEVERITY.index)
    return NodeReport(
        worst,
        '; '.join(dict.fromkeys(s.message for s, of in zip(statuses, levels) if of == worst)),
        {v.key: v.value for status in statuses for v in status.values},
    )


def _number(level: bytes | int) -> int:
    """Return a `byte` field as a number; rclpy gives it as bytes."""
    return level[0] if isinstance(level, bytes) else level


class DemoState:
    """Counts answers and matches them with the truth of the same stamp."""

    def __init__(self, *, live: bool = True, rules: MatchingRules | None = None) -> None:
        """Start from nothing.

        Args:
            live: stamps are of this machine's clock; False for a bag, whose ages mean nothing.
            rules: which objects count.
        """
        self.live = live
        self._rules = rules or MatchingRules()
        self._truths: dict[int, Detections] = {}
        self._answers: dict[int, Detections] = {}
        self._arrivals_s: deque[float] = deque(maxlen=_RECENT)
        self._ages_s: deque[float] = deque(maxlen=_RECENT)
        self.frames = 0
        self.boxes = 0
        self.scored = 0
        self.matches = MatchCount()
        self.by_class: Counter[str] = Counter()
        self.now_by_class: Counter[str] = Counter()
        self.node = NodeReport()

    def take_answer(self, detections: Detections, now_s: float) -> None:
        """Count one published answer of the node, which arrived at `now_s` since the epoch."""
        self.frames += 1
        self.boxes += len(detections)
        self._arrivals_s.append(now_s)
        self._ages_s.append(now_s - detections.stamp_ns * 1e-9)
        names = (detections.class_names[label] for label in detections.labels)
        self.now_by_class = Counter(names)
        self.by_class += self.now_by_class
        self._meet(detections.stamp_ns, self._answers, detections)

    def take_truth(self, truth: Detections) -> None:
        """Take the objects of one frame; the scores are visible fractions."""
        self._meet(truth.stamp_ns, self._truths, truth)

    def take_report(self, statuses: Sequence[Any]) -> None:
        """Take the `DiagnosticStatus` messages of the node, if there are any."""
        if statuses:
            self.node = report_of(statuses)

    @property
    def rate_hz(self) -> float:
        """Answers per second, over the latest ones."""
        if len(self._arrivals_s) < 2:
            return 0.0
        span = self._arrivals_s[-1] - self._arrivals_s[0]
        return (len(self._arrivals_s) - 1) / span if span > 0 else 0.0

    def age_ms(self, percentile: float) -> float | None:
        """Milliseconds from a frame's stamp to its answer, over the latest ones."""
        if not self.live or not self._ages_s:
            return None
        return 1000 * float(np.percentile(self._ages_s, percentile))

    def _meet(self, stamp_ns: int, own: dict[int, Detections], new: Detections) -> None:
        """Keep `new` until its counterpart comes, then count the pair."""
        own[stamp_ns] = new
        if stamp_ns in self._truths and stamp_ns in self._answers:
            truth, answer = self._truths.pop(stamp_ns), self._answers.pop(stamp_ns)
            self.matches += count_matches(answer, truth, self._rules)
            self.scored += 1
        while len(own) > _WAITING:
            del own[next(iter(own))]
