"""The thread that works on the newest image of a camera."""

from __future__ import annotations

import time
import traceback
from typing import Any, TYPE_CHECKING

from thermal_perception.errors import DecodeError, ThermalPerceptionError
from thermal_perception.nodes.base.diagnostics import latency_values
from thermal_perception.nodes.base.statistics import EventCounter, RateMeter, StageTimes
from thermal_perception.nodes.base.worker import Worker
from thermal_perception.synchronise import NewestSlot

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from thermal_perception.nodes.base.managed import ManagedNode
    from thermal_perception.nodes.cameras.camera_input import Arrival

_STOP_TIMEOUT_S = 10.0


class CameraWork:
    """Handles one image at a time, the newest first; what it replaces is counted.

    Attributes:
        events: `processed`, `replaced` and `failed CAUSE`.
        stages: durations of the stages, and `age` of what was published.
        rate: of handled images.
    """

    def __init__(
        self, node: ManagedNode[Any], handle: Callable[[Arrival], Mapping[str, float] | None]
    ) -> None:
        """Make it; `start` sets it to work.

        Args:
            node: owner.
            handle: does the work, in the thread; gives the seconds of its stages, or None if
                nothing was published.
        """
        self.events = EventCounter(lambda: node.reports)
        self.stages = StageTimes(node.settings.values.latency_window)
        self.rate = RateMeter()
        self._node, self._handle = node, handle
        self._slot: NewestSlot[Arrival] = NewestSlot()
        self._worker: Worker[Arrival] | None = None
        self._replaced = 0

    def start(self) -> None:
        """Start the thread."""
        self._slot, self._replaced = NewestSlot(), 0
        self._worker = Worker(self._slot, self._process, self._on_failure, name='emiff')
        self._worker.start()

    def stop(self) -> None:
        """Let the thread finish the image in hand, and end it."""
        if self._worker is not None and not self._worker.stop(_STOP_TIMEOUT_S):
            self._node.get_logger().error(f'the model did not answer within {_STOP_TIMEOUT_S} s')
        self._worker = None

    def put(self, arrival: Arrival) -> None:
        """Hand in an image; returns at once."""
        self._slot.put(arrival)
        replaced = self._slot.counts.replaced
        if replaced > self._replaced:
            self.events.add('replaced', replaced - self._replaced)
            self._replaced = replaced

    def forget(self) -> None:
        """Start over after a jump in time."""
        self._slot.clear()

    def values(self) -> dict[str, Any]:
        """Return what diagnostics tell."""
        totals = self.events.totals
        return {
            'output rate [Hz]': self.rate.hz,
            'processed': totals.get('processed', 0),
            'replaced': totals.get('replaced', 0),
            **latency_values(self.stages.summary),
        }

    def _process(self, arrival: Arrival) -> None:
        taken_s = time.perf_counter()
        stages = self._handle(arrival)
        if stages is None:
            return
        done_s = time.perf_counter()
        now_ns = self._node.get_clock().now().nanoseconds
        self.stages.add(
            {
                'queue': taken_s - arrival.arrived_s,
                **stages,
                'total': done_s - arrival.arrived_s,
                'age': (now_ns - arrival.stamp_ns) * 1e-9,
            }
        )
        self.events.add('processed')
        self.rate.tick()

    def _on_failure(self, arrival: Arrival, error: Exception) -> None:
        """Count and report what could not be handled; the next image may be fine."""
        if isinstance(error, DecodeError) or not self._node.context.ok():
            return  # counted with its camera, or the process is being ended
        where, report = f'image of {arrival.stamp_ns} ns', self._node.throttled.error
        if isinstance(error, ThermalPerceptionError):
            self.events.add(f'failed {type(error).__name__}')
            report('failed', f'{where}: {error}')
        else:
            self.events.add('failed internal')
            report('internal', f'{where}: {"".join(traceback.format_exception(error))}')
