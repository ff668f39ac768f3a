"""What the demo has seen so far: plain arithmetic on messages, no ROS and no terminal."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any, Generic, TYPE_CHECKING, TypeVar

import numpy as np

from thermal_perception.evaluation.matching import count_matches, MatchCount, MatchingRules
from thermal_perception.evaluation.messages import to_detections

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from thermal_perception.types import Boxes3D, Detections, SegmentationMask

_RECENT = 100
_LEVELS = ('OK', 'WARN', 'ERROR', 'STALE')  # by the number in the message
_FATES = ('replaced', 'discarded', 'dropped', 'failed')
_SEVERITY = ('OK', 'WARN', 'STALE', 'ERROR')


T = TypeVar('T', bound='Boxes3D | Detections | SegmentationMask')
B = TypeVar('B', bound='Boxes3D | Detections')


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


class DemoState(ABC, Generic[T]):
    """Counts answers and matches them with the truth of the same stamp.

    Attributes:
        live: stamps are of this machine's clock; False for a bag, whose ages mean nothing.
        waiting: answers and truths kept while their counterpart is on its way.
        frames: answers.
        scored: answers that had a truth.
        node: what the node says of itself.
    """

    waiting = 300

    def __init__(self, *, live: bool = True) -> None:
        """Start from nothing."""
        self.live = live
        self.frames = 0
        self.scored = 0
        self.node = NodeReport()
        self._truths: dict[int, T] = {}
        self._answers: dict[int, T] = {}
        self._arrivals_s: deque[float] = deque(maxlen=_RECENT)
        self._ages_s: deque[float] = deque(maxlen=_RECENT)

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

    def to_json(self) -> dict[str, Any]:
        """Return what is for the summary."""
        return {
            'frames': self.frames,
            'rate_hz': self.rate_hz,
            'frames_with_truth': self.scored,
            'age_median_ms': self.age_ms(50),
            'age_p99_ms': self.age_ms(99),
            'diagnostics': dict(self.node.values),
        }

    def take_answer(self, answer: T, now_s: float) -> None:
        """Count one published answer of the node, which arrived at `now_s` since the epoch."""
        self.frames += 1
        self._arrivals_s.append(now_s)
        self._ages_s.append(now_s - answer.stamp_ns * 1e-9)
        self._count(answer)
        self._meet(self._answers, answer)

    def take_truth(self, truth: T) -> None:
        """Take what one image shows."""
        self._meet(self._truths, truth)

    @property
    def error(self) -> str:
        """Why the node cannot answer, empty if it does not say so."""
        return self.node.message if self.node.level == 'ERROR' else ''

    # What a kind of answer brings

    @property
    def facts(self) -> Mapping[str, str]:
        """What else there is to show, by name."""
        return {}

    @abstractmethod
    def read_answer(self, message: Any) -> T:
        """Turn a message of the node into what `take_answer` takes."""

    @abstractmethod
    def read_truth(self, message: Any) -> T:
        """Turn a message of the simulator into what `take_truth` takes."""

    @property
    @abstractmethod
    def found(self) -> bool:
        """True once anything was found."""

    @property
    @abstractmethod
    def now_by_class(self) -> Mapping[str, float]:
        """How much of each class the latest answer has."""

    @property
    @abstractmethod
    def by_class(self) -> Mapping[str, float]:
        """How much of each class there was."""

    @property
    @abstractmethod
    def scores(self) -> Mapping[str, float | None]:
        """How well answers agree with the truth, fractions; the first ones matter most."""

    @abstractmethod
    def _compare(self, answer: T, truth: T) -> None:
        """Score an answer."""

    @abstractmethod
    def _count(self, answer: T) -> None:
        """Note what an answer has."""

    def _meet(self, own: dict[int, T], new: T) -> None:
        """Keep `new` until its counterpart comes, then score the pair."""
        stamp_ns = new.stamp_ns
        own[stamp_ns] = new
        if stamp_ns in self._truths and stamp_ns in self._answers:
            truth, answer = self._truths.pop(stamp_ns), self._answers.pop(stamp_ns)
            self._compare(answer, truth)
            self.scored += 1
        while len(own) > self.waiting:
            del own[next(iter(own))]


class CountingState(DemoState[B]):
    """Counts boxes, flat or not, and those that were right.

    Attributes:
        boxes: how many in all.
        matches: with the objects of the truth.
    """

    def __init__(self, *, live: bool = True) -> None:
        """Start from nothing; `live` as in `DemoState`."""
        super().__init__(live=live)
        self._by_class: Counter[str] = Counter()
        self._now: Counter[str] = Counter()
        self.boxes = 0
        self.matches = MatchCount()

    @property
    def found(self) -> bool:
        """True once there was a box."""
        return self.boxes > 0

    @property
    def now_by_class(self) -> Mapping[str, float]:
        """Number of boxes of each class in the latest answer."""
        return self._now

    @property
    def by_class(self) -> Mapping[str, float]:
        """Number of boxes of each class in all."""
        return self._by_class

    @property
    def scores(self) -> Mapping[str, float | None]:
        """Precision and recall; None while they are unknown."""
        return {'precision': self.matches.precision, 'recall': self.matches.recall}

    def to_json(self) -> dict[str, Any]:
        """Return what is for the summary."""
        found = {'boxes': self.boxes, 'boxes_by_class': dict(self._by_class)}
        return {**super().to_json(), **found, **self.scores}

    def _count(self, answer: B) -> None:
        self.boxes += len(answer)
        self._now = Counter(answer.class_names[label] for label in answer.labels)
        self._by_class += self._now


class BoxState(CountingState['Detections']):
    """Counts boxes in images."""

    def __init__(self, *, live: bool = True, rules: MatchingRules | None = None) -> None:
        """Start from nothing; `rules` say which objects count, `live` as in `DemoState`."""
        super().__init__(live=live)
        self._rules = rules or MatchingRules()

    def read_answer(self, message: Any) -> Detections:
        """Read vision_msgs/Detection2DArray."""
        return to_detections(message)

    def read_truth(self, message: Any) -> Detections:
        """Read vision_msgs/Detection2DArray; the scores are visible fractions."""
        return to_detections(message)

    def _compare(self, answer: Detections, truth: Detections) -> None:
        self.matches += count_matches(answer, truth, self._rules)
