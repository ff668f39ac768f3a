"""What comes in: the images of the thermal camera, and its camera_info."""

from __future__ import annotations

from functools import partial
import time
from typing import Any, Generic, TYPE_CHECKING, TypeVar

from thermal_perception.nodes.base.diagnostics import Level
from thermal_perception.nodes.cameras.camera_health import DISABLED, input_health
from thermal_perception.nodes.cameras.camera_info_input import CameraInfoInput
from thermal_perception.nodes.cameras.frame_source import FrameSource
from thermal_perception.nodes.cameras.moment import Moment, Reading
from thermal_perception.nodes.parameters.perception import PerceptionParameters, units_of
from thermal_perception.types import FrameSet

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sensor_msgs.msg import CameraInfo

    from thermal_perception.decode import ThermalUnits
    from thermal_perception.nodes.base.diagnostics import Health
    from thermal_perception.nodes.base.managed import ManagedNode
    from thermal_perception.nodes.cameras.camera_input import Arrival
    from thermal_perception.types import Modality

P = TypeVar('P', bound=PerceptionParameters)


class ThermalInput(Generic[P]):
    """Hands on each thermal image as a moment of its own, and decodes the moments looked at.

    Attributes:
        thermal: the camera.
        thermal_info: its camera_info.
    """

    def __init__(
        self,
        node: ManagedNode[P],
        put: Callable[[Moment], None],
        forget: Callable[[], None],
    ) -> None:
        """Prepare the input; `open` subscribes.

        Args:
            node: owner of the subscriptions.
            put: takes each moment, in a camera's thread; must not block.
            forget: called when the thermal stamps jump back, before what comes after.
        """
        values = node.settings.values
        self._node, self._put, self._forget = node, put, forget
        self.thermal = self._source('thermal', values.image_transport, units_of(values))
        self.thermal_info = CameraInfoInput(node, 'thermal/camera_info')

    @property
    def sources(self) -> Sequence[FrameSource]:
        """The cameras, leading one first."""
        return (self.thermal,)

    def open(self) -> None:
        """Subscribe."""
        for source in self.sources:
            source.camera.open()

    def close(self) -> None:
        """Unsubscribe, and forget what the images looked like."""
        for source in self.sources:
            source.camera.close()
            source.restart()
        self.thermal_info.follow(False)

    def reset(self) -> None:
        """Forget the stamps seen, after the clock has jumped."""
        for source in self.sources:
            source.camera.reset()
            source.restart()

    def follow_camera_info(self, wanted: bool) -> None:
        """Listen to camera_info while it is wanted beside a picture; call it now and then."""
        self.thermal_info.follow(wanted)

    def camera_info(self, modality: Modality) -> CameraInfo | None:
        """Return the latest camera_info of a camera, None where it is not known."""
        return self.thermal_info.latest if modality == 'thermal' else None

    def read(self, moment: Moment) -> Reading:
        """Decode a moment; in the worker's thread.

        Raises:
            DecodeError: if its leading image cannot be decoded, which is counted and logged.
        """
        started_s = time.perf_counter()
        frame = self.thermal.decode(moment.leader)
        return Reading(FrameSet(thermal=frame), {'decode': time.perf_counter() - started_s})

    def health(self, *, summary: str, active: bool) -> list[Health]:
        """Return how the input is; `summary` while nothing is wrong, values only if inactive."""
        timeout_s = self._node.settings.values.input_timeout_s
        thermal = input_health(
            self.thermal,
            summary=summary,
            silence=Level.STALE,
            timeout_s=timeout_s,
            active=active,
        )
        return [thermal]

    def _source(
        self, modality: Modality, transport: Any, units: ThermalUnits | None = None
    ) -> FrameSource:
        return FrameSource(
            self._node,
            modality,
            transport=transport,
            on_arrival=partial(self._on_arrival, modality),
            on_restart=partial(self._on_restart, modality),
            units=units,
        )

    # In the threads of the cameras

    def _on_arrival(self, modality: Modality, arrival: Arrival) -> None:
        if self._node.enabled:
            self._take(modality, arrival)
            return
        for source in self.sources:
            if source.modality == modality:
                source.camera.drops.add(DISABLED)

    def _take(self, modality: Modality, arrival: Arrival) -> None:
        del modality  # there is one camera
        self._put(Moment(arrival, None, arrival.arrived_s))

    def _on_restart(self, modality: Modality) -> None:
        for source in self.sources:
            if source.modality == modality:
                source.restart()
        if modality == 'thermal':
            self._forget()
