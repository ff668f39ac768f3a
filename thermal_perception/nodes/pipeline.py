"""From image message to published detections: the work of one thread."""

from __future__ import annotations

import threading
import time
import traceback
from typing import Any, TYPE_CHECKING

from thermal_perception.decode import decode_compressed, decode_image
from thermal_perception.errors import (
    BackendError,
    DecodeError,
    PreprocessError,
    ThermalPerceptionError,
)
from thermal_perception.nodes.statistics import EventCounter, RateMeter, StageTimes
from thermal_perception.nodes.worker import Worker
from thermal_perception.synchronise import FreezeDetector, NewestSlot
from thermal_perception.types import FrameSet

if TYPE_CHECKING:
    from thermal_perception.decode import ThermalUnits
    from thermal_perception.nodes.camera_info_input import CameraInfoInput
    from thermal_perception.nodes.camera_input import Arrival, CameraInput
    from thermal_perception.nodes.fusion_detr_parameters import FusionDetrParameters
    from thermal_perception.nodes.managed import ManagedNode
    from thermal_perception.nodes.outputs import DetectorOutputs
    from thermal_perception.nodes.perceivers import PerceiverLike
    from thermal_perception.types import Frame, Perception

# A model call on a slow CPU may take this long when the node is told to stop.
_STOP_TIMEOUT_S = 10.0
_FAILURES: dict[type[Exception], str] = {BackendError: 'backend', PreprocessError: 'preprocess'}


class DetectionPipeline:
    """Decodes, perceives and publishes in a worker thread, one image at a time.

    Attributes:
        perceiver: the model in use; may be replaced at any time.
        last_frame: the image decoded last.
        events: `processed`, `replaced`, `discarded` and `failed CAUSE`.
        stages: durations of the stages.
        output_rate: rate of published results.
    """

    def __init__(
        self,
        node: ManagedNode[FusionDetrParameters],
        camera: CameraInput,
        camera_info: CameraInfoInput,
        outputs: DetectorOutputs,
        perceiver: PerceiverLike,
        units: ThermalUnits,
    ) -> None:
        """Make a pipeline from one camera to the outputs; `start` sets it to work."""
        values = node.settings.values
        self.perceiver = perceiver
        self.last_frame: Frame | None = None
        self.events = EventCounter(lambda: node.reports)
        self.stages = StageTimes(values.latency_window)
        self.output_rate = RateMeter()
        self._node = node
        self._camera = camera
        self._camera_info = camera_info
        self._outputs = outputs
        self._units = units
        equal = values.freeze_frames
        self._freeze = FreezeDetector(max(2, equal)) if equal else None
        self._restarted = threading.Event()
        self._slot = self._make_slot()
        self._replaced_seen = 0
        self._worker: Worker[Arrival] | None = None

    def start(self) -> None:
        """Start the thread."""
        self._slot = self._make_slot()
        self._replaced_seen = 0
        self._worker = Worker(self._slot, self._process, self._on_failure, name='perception')
        self._worker.start()

    def stop(self) -> None:
        """Let the thread finish the image in hand, and end it."""
        if self._worker is None:
            return
        if not self._worker.stop(_STOP_TIMEOUT_S):
            self._node.get_logger().error(f'the model did not answer within {_STOP_TIMEOUT_S} s')
        self._worker = None
        counts = self._slot.counts
        self._slot = self._make_slot()
        self._replaced_seen = 0
        self.events.add('discarded', counts.discarded)
        self._restarted.set()

    def put(self, arrival: Arrival) -> None:
        """Hand in an image; returns at once."""
        self._slot.put(arrival)
        replaced = self._slot.counts.replaced
        if replaced > self._replaced_seen:
            self.events.add('replaced', replaced - self._replaced_seen)
            self._replaced_seen = replaced

    def forget(self) -> None:
        """Start over after a jump in time: images that wait belong to another time."""
        self._slot.clear()
        self._restarted.set()

    @property
    def threshold(self) -> float:
        """Score below which boxes are not published."""
        threshold = self._node.settings.values.score_threshold
        return self.perceiver.info.default_score_threshold if threshold < 0 else threshold

    @property
    def frozen(self) -> bool:
        """True while the images do not change."""
        return self._freeze is not None and self._freeze.frozen

    @property
    def replaced(self) -> int:
        """Images given up for newer ones."""
        return self.events.total('replaced')

    @property
    def discarded(self) -> int:
        """Images given up after a jump in time or at the end."""
        return self.events.total('discarded') + self._slot.counts.discarded

    @property
    def waiting(self) -> int:
        """Images that wait now."""
        return self._slot.counts.waiting

    def _make_slot(self) -> NewestSlot[Arrival]:
        values = self._node.settings.values
        mode: Any = values.queue
        return NewestSlot(mode, capacity=values.queue_capacity)

    def _process(self, arrival: Arrival) -> None:
        """Decode, perceive and publish one image."""
        taken_s = time.perf_counter()
        frame = self._decode(arrival)
        decoded_s = time.perf_counter()
        perception = self.perceiver(FrameSet(thermal=frame))
        perceived_s = time.perf_counter()
        self._publish(frame, perception)
        published_s = time.perf_counter()
        total_s = published_s - arrival.arrived_s
        stages_s = {
            'queue': taken_s - arrival.arrived_s,
            'decode': decoded_s - taken_s,
            **perception.stages_s,
            'publish': published_s - perceived_s,
            'total': total_s,
            'overhead': total_s - perception.stages_s.get('model', 0.0),
            'age': (self._node.get_clock().now().nanoseconds - frame.stamp_ns) * 1e-9,
        }
        self.stages.add(stages_s)
        self._outputs.publish_stage_times(stages_s, frame)
        self.events.add('processed')
        self.output_rate.tick()

    def _decode(self, arrival: Arrival) -> Frame:
        values = self._node.settings.values
        decode: Any = decode_image if values.image_transport == 'raw' else decode_compressed
        frame: Frame = decode(
            arrival.message,
            modality='thermal',
            units=self._units,
            max_pixels=values.max_pixels,
        )
        self.last_frame = frame
        if self._freeze is not None:
            if self._restarted.is_set():
                self._restarted.clear()
                self._freeze.reset()
            self._freeze.update(frame.image)
        return frame

    def _publish(self, frame: Frame, perception: Perception) -> None:
        values = self._node.settings.values
        detections = perception.detections.above(self.threshold)
        self._outputs.publish_detections(detections)
        if values.publish_overlay:
            self._outputs.publish_overlay(frame, detections, self._camera_info.latest)
        if values.publish_fusion_weights:
            self._outputs.publish_fusion(perception.fusion, frame)

    def _on_failure(self, arrival: Arrival, error: Exception) -> None:
        """Count and report an image that could not be processed; the next one may be fine."""
        if not self._node.context.ok():
            return  # publishing fails while the process is being ended
        topic, report = self._camera.topic, self._node.throttled.error
        if isinstance(error, DecodeError):
            self._camera.drops.add(error.cause)
            report(error.cause, f'{topic}: {error}')
        elif isinstance(error, ThermalPerceptionError):
            cause = _FAILURES.get(type(error), 'perception')
            self.events.add(f'failed {cause}')
            report(cause, f'{topic}: image of {arrival.stamp_ns} ns: {error}')
        else:
            self.events.add('failed internal')
            text = ''.join(traceback.format_exception(error))
            report('internal', f'{topic}: image of {arrival.stamp_ns} ns: {text}')
