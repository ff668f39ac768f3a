"""From image messages to published results: the work of one thread."""

from __future__ import annotations

from dataclasses import replace
import time
import traceback
from typing import Any, TYPE_CHECKING

from thermal_perception.errors import (
    BackendError,
    DecodeError,
    PreprocessError,
    ThermalPerceptionError,
)
from thermal_perception.nodes.base.statistics import EventCounter, RateMeter, StageTimes
from thermal_perception.nodes.base.worker import Worker
from thermal_perception.synchronise import NewestSlot

if TYPE_CHECKING:
    from collections.abc import Callable

    from sensor_msgs.msg import CameraInfo

    from thermal_perception.nodes.base.managed import ManagedNode
    from thermal_perception.nodes.cameras.moment import Moment, Reading
    from thermal_perception.nodes.parameters.perception import PerceptionParameters
    from thermal_perception.nodes.perception.outputs import DetectorOutputs
    from thermal_perception.nodes.perception.perceivers import PerceiverLike
    from thermal_perception.types import Modality

# A model call on a slow CPU may take this long when the node is told to stop.
_STOP_TIMEOUT_S = 10.0
_FAILURES: dict[type[Exception], str] = {BackendError: 'backend', PreprocessError: 'preprocess'}


class Pipeline:
    """Decodes, perceives and publishes in a worker thread, one moment at a time.

    Attributes:
        perceiver: the model in use; may be replaced at any time.
        events: `processed`, `replaced`, `discarded` and `failed CAUSE`.
        stages: durations of the stages.
        output_rate: rate of published results.
    """

    def __init__(
        self,
        node: ManagedNode[PerceptionParameters],
        outputs: DetectorOutputs,
        perceiver: PerceiverLike,
        *,
        read: Callable[[Moment], Reading],
        camera_info: Callable[[Modality], CameraInfo | None],
    ) -> None:
        """Make a pipeline; `start` sets it to work.

        Args:
            node: owner of the parameters.
            outputs: where results go.
            perceiver: the model to begin with.
            read: decodes a moment.
            camera_info: gives the latest camera_info of a camera, None if there is none.
        """
        self.perceiver = perceiver
        self.events = EventCounter(lambda: node.reports)
        self.stages = StageTimes(node.settings.values.latency_window)
        self.output_rate = RateMeter()
        self._node = node
        self._outputs = outputs
        self._read = read
        self._camera_info = camera_info
        self._slot = self._make_slot()
        self._replaced_seen = 0
        self._worker: Worker[Moment] | None = None

    def start(self) -> None:
        """Start the thread."""
        self._slot = self._make_slot()
        self._replaced_seen = 0
        self._worker = Worker(self._slot, self._process, self._on_failure, name='perception')
        self._worker.start()

    def stop(self) -> None:
        """Let the thread finish the moment in hand, and end it."""
        if self._worker is None:
            return
        if not self._worker.stop(_STOP_TIMEOUT_S):
            self._node.get_logger().error(f'the model did not answer within {_STOP_TIMEOUT_S} s')
        self._worker = None
        counts = self._slot.counts
        self._slot = self._make_slot()
        self._replaced_seen = 0
        self.events.add('discarded', counts.discarded)

    def put(self, moment: Moment) -> None:
        """Hand in a moment; returns at once."""
        self._slot.put(moment)
        replaced = self._slot.counts.replaced
        if replaced > self._replaced_seen:
            self.events.add('replaced', replaced - self._replaced_seen)
            self._replaced_seen = replaced

    def forget(self) -> None:
        """Start over after a jump in time: what waits belongs to another time."""
        self._slot.clear()

    @property
    def threshold(self) -> float:
        """Score below which boxes are not published."""
        threshold = self._node.settings.values.score_threshold
        return self.perceiver.info.default_score_threshold if threshold < 0 else threshold

    @property
    def replaced(self) -> int:
        """Moments given up for newer ones."""
        return self.events.total('replaced')

    @property
    def discarded(self) -> int:
        """Moments given up after a jump in time or at the end."""
        return self.events.total('discarded') + self._slot.counts.discarded

    @property
    def waiting(self) -> int:
        """Moments that wait now."""
        return self._slot.counts.waiting

    def _make_slot(self) -> NewestSlot[Moment]:
        values = self._node.settings.values
        mode: Any = values.queue
        return NewestSlot(mode, capacity=values.queue_capacity)

    def _process(self, moment: Moment) -> None:
        """Decode, perceive and publish one moment."""
        taken_s = time.perf_counter()
        frames, reading_s = self._read(moment)
        wanted = self._outputs.wanted
        perception = self.perceiver(frames, wanted=wanted)
        perceived_s = time.perf_counter()
        detections = perception.detections.above(self.threshold)
        camera_info = self._camera_info(frames.leader.modality)
        self._outputs.publish(
            frames, replace(perception, detections=detections), wanted, camera_info
        )
        published_s = time.perf_counter()
        total_s = published_s - moment.leader.arrived_s
        stages_s = {
            'queue': taken_s - moment.decided_s,
            **reading_s,
            **perception.stages_s,
            'publish': published_s - perceived_s,
            'total': total_s,
            'overhead': total_s - perception.stages_s.get('model', 0.0),
            'age': (self._node.get_clock().now().nanoseconds - frames.stamp_ns) * 1e-9,
        }
        self.stages.add(stages_s)
        self._outputs.publish_stage_times(stages_s, frames.leader)
        self.events.add('processed')
        self.output_rate.tick()

    def _on_failure(self, moment: Moment, error: Exception) -> None:
        """Count and report what could not be processed; the next moment may be fine."""
        if isinstance(error, DecodeError):
            return  # counted and reported with its camera
        if not self._node.context.ok():
            return  # publishing fails while the process is being ended
        where, report = f'image of {moment.leader.stamp_ns} ns', self._node.throttled.error
        if isinstance(error, ThermalPerceptionError):
            cause = _FAILURES.get(type(error), 'perception')
            self.events.add(f'failed {cause}')
            report(cause, f'{where}: {error}')
        else:
            self.events.add('failed internal')
            text = ''.join(traceback.format_exception(error))
            report('internal', f'{where}: {text}')
