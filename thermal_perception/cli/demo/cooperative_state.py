"""What the demo has seen of a vehicle that the roadside helps: 3D boxes with it and without."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple, TYPE_CHECKING

import numpy as np

from thermal_perception.cli.demo.state import CountingState, NodeReport, report_of
from thermal_perception.evaluation.boxes_3d import overlaps_bev
from thermal_perception.evaluation.matching import MatchCount
from thermal_perception.evaluation.messages import to_boxes_3d

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from thermal_perception.types import Boxes3D

IOU = 0.3
"""Least overlap seen from above of a box with its object."""

_PATIENCE = 8  # answers that wait for those of the vehicle alone


class Ground(NamedTuple):
    """Where objects count, metres in the base frame."""

    low_m: tuple[float, float]
    high_m: tuple[float, float]


class Scene(NamedTuple):
    """All that is known of one moment; `alone` is None where that vehicle skipped it."""

    truth: Boxes3D
    found: Boxes3D
    alone: Boxes3D | None


class Boxes3DState(CountingState['Boxes3D']):
    """Counts 3D boxes, and those that were right."""

    def __init__(self, ground: Ground) -> None:
        """Start from nothing; objects off `ground` do not count."""
        super().__init__()
        self._ground = ground

    def read_answer(self, message: Any) -> Boxes3D:
        """Read vision_msgs/Detection3DArray."""
        return to_boxes_3d(message)

    def read_truth(self, message: Any) -> Boxes3D:
        """Read vision_msgs/Detection3DArray, and keep what is on the ground."""
        return on_ground(to_boxes_3d(message), self._ground)

    def _compare(self, answer: Boxes3D, truth: Boxes3D) -> None:
        self.matches += count_overlaps(on_ground(answer, self._ground), truth)


class CooperativeState(Boxes3DState):
    """The vehicle with the roadside, and beside it the same vehicle alone.

    Attributes:
        alone: what the vehicle found alone.
        others: what other nodes say of themselves, by name.
        longest_pause_s: longest time between two answers.
    """

    def __init__(self, ground: Ground) -> None:
        """Start from nothing; objects off `ground` do not count."""
        super().__init__(ground)
        self.alone = Boxes3DState(ground)
        self.others: dict[str, NodeReport] = {}
        self.longest_pause_s = 0.0
        self._pending: list[tuple[Boxes3D, Boxes3D]] = []  # found, truth
        self._alone_by_stamp: dict[int, Boxes3D] = {}

    def take_answer(self, answer: Boxes3D, now_s: float) -> None:
        """Count an answer of the vehicle with the roadside."""
        if self._arrivals_s:
            self.longest_pause_s = max(self.longest_pause_s, now_s - self._arrivals_s[-1])
        super().take_answer(answer, now_s)

    def take_truth(self, truth: Boxes3D) -> None:
        """Take where things are, for both vehicles."""
        super().take_truth(truth)
        self.alone.take_truth(truth)

    def take_alone(self, answer: Boxes3D, now_s: float) -> None:
        """Count an answer of the vehicle alone."""
        self.alone.take_answer(answer, now_s)
        self._alone_by_stamp[answer.stamp_ns] = answer
        while len(self._alone_by_stamp) > self.waiting:
            del self._alone_by_stamp[next(iter(self._alone_by_stamp))]

    def take_other(self, name: str, statuses: Sequence[Any]) -> None:
        """Take what another node says of itself."""
        if statuses:
            self.others[name] = report_of(statuses)

    def complete_scenes(self) -> list[Scene]:
        """Return the moments that both vehicles have answered or passed by, each once."""
        newest = max(self._alone_by_stamp, default=-1)
        scenes = []
        while self._pending and (
            self._pending[0][0].stamp_ns <= newest or len(self._pending) > _PATIENCE
        ):
            found, truth = self._pending.pop(0)
            scenes.append(Scene(truth, found, self._alone_by_stamp.get(found.stamp_ns)))
        if scenes:
            last = scenes[-1].found.stamp_ns
            self._alone_by_stamp = {s: b for s, b in self._alone_by_stamp.items() if s > last}
        return scenes

    @property
    def error(self) -> str:
        """Why a node cannot work, empty if none says so."""
        errors = [f'{n}: {r.message}' for n, r in self.others.items() if r.level == 'ERROR']
        return '; '.join([*([super().error] if super().error else []), *errors])

    @property
    def facts(self) -> Mapping[str, str]:
        """How the link is and what it gives."""
        own, link = self.node.values, self.others.get('simulated_link', NodeReport())
        roadside = self.others.get('emiff_infrastructure', NodeReport())
        used = 'none'
        if own.get('sender', 'none') != 'none':
            age, weight, cover = (own[key] for key in ('feature age [s]', 'weight', 'coverage'))
            used = f'{age} s old, weight {weight}, cover {cover}'
        sent, arrived = (link.values.get(f'bytes {w}', '0') for w in ('received', 'delivered'))
        return {
            'link': f'{link.level}  {link.message}',
            'over the air': f'{_kilobytes(sent)} sent, {_kilobytes(arrived)} arrived',
            'a message': f'{roadside.values.get("bytes per frame", "-")} bytes, '
            f'{roadside.values.get("level", "-")}',
            'features used': used,
            'vehicle alone': f'{_percent(self.alone.matches.recall)} recall, '
            f'{_percent(self.alone.matches.precision)} precision',
        }

    def to_json(self) -> dict[str, Any]:
        """Return what is for the summary."""
        return {
            **super().to_json(),
            'longest_pause_s': self.longest_pause_s,
            'alone': {'frames': self.alone.frames, **self.alone.scores},
            'nodes': {name: dict(report.values) for name, report in self.others.items()},
        }

    def _compare(self, answer: Boxes3D, truth: Boxes3D) -> None:
        super()._compare(answer, truth)
        self._pending.append((answer, truth))


def count_overlaps(found: Boxes3D, truth: Boxes3D) -> MatchCount:
    """Count boxes that overlap an object by `IOU` from above; the best score takes it first.

    Classes do not matter: the simulator tells kinds of vehicles apart and a model may not.
    """
    overlaps = overlaps_bev(found, truth)
    taken = np.zeros(len(truth), bool)
    hits = 0
    for index in np.argsort(-found.scores, kind='stable'):
        free = np.where(taken, 0.0, overlaps[index])
        if free.size and free.max() >= IOU:
            taken[free.argmax()] = True
            hits += 1
    return MatchCount(found=hits, missed=len(truth) - hits, false=len(found) - hits)


def on_ground(boxes: Boxes3D, ground: Ground) -> Boxes3D:
    """Keep the boxes whose centre is on the ground that counts."""
    xy = boxes.centres_m[:, :2]
    inside = ((xy >= ground.low_m) & (xy <= ground.high_m)).all(1)
    rows = ('centres_m', 'sizes_m', 'yaws_rad', 'scores', 'labels', 'track_ids')
    kept: dict[str, Any] = {name: getattr(boxes, name)[inside] for name in rows}
    return replace(boxes, **kept)


def _kilobytes(text: str) -> str:
    return f'{int(text) / 1000:.1f} kB' if text.isdecimal() else '-'


def _percent(value: float | None) -> str:
    return '-' if value is None else f'{100 * value:.0f} %'
