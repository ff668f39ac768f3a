"""One camera of a node with a model: its messages, decoded only when they are looked at."""

from __future__ import annotations

import threading
from typing import Any, TYPE_CHECKING

from thermal_perception.decode import decode_compressed, decode_image, thermal_units
from thermal_perception.errors import DecodeError
from thermal_perception.nodes.base.statistics import EventCounter
from thermal_perception.nodes.cameras.camera_input import CameraInput, StampLimits
from thermal_perception.synchronise import FreezeDetector

if TYPE_CHECKING:
    from collections.abc import Callable

    from thermal_perception.decode import ThermalUnits
    from thermal_perception.nodes.base.managed import ManagedNode
    from thermal_perception.nodes.cameras.camera_input import Arrival, Transport
    from thermal_perception.types import Frame, Modality


class FrameSource:
    """Receives the messages of one camera and decodes those that are asked for.

    Attributes:
        modality: `thermal` or `rgb`.
        camera: subscription and what became of the messages.
        decoded: counts `decoded` images.
        last_frame: the image decoded last.
    """

    def __init__(
        self,
        node: ManagedNode[Any],
        modality: Modality,
        *,
        transport: Transport,
        on_arrival: Callable[[Arrival], None],
        on_restart: Callable[[], None],
        units: ThermalUnits | None = None,
    ) -> None:
        """Prepare the topic `MODALITY/image_raw`; see `CameraInput` for the callbacks."""
        values = node.settings.values
        self.modality = modality
        self.camera = CameraInput(
            node,
            f'{modality}/image_raw',
            transport=transport,
            limits=StampLimits(values.max_future_s, values.jump_back_s),
            on_arrival=on_arrival,
            on_restart=on_restart,
            throttled=node.throttled,
            report=lambda: node.reports,
        )
        self.decoded = EventCounter(lambda: node.reports)
        self.last_frame: Frame | None = None
        self._decode: Any = decode_image if transport == 'raw' else decode_compressed
        self._units = units or thermal_units('counts')
        self._max_pixels = values.max_pixels
        self._report_error = node.throttled.error
        equal = values.freeze_frames
        self._freeze = FreezeDetector(max(2, equal)) if equal else None
        self._restarted = threading.Event()
        self._last: tuple[Arrival, Frame | DecodeError] | None = None

    @property
    def frozen(self) -> bool:
        """True while the images do not change."""
        return self._freeze is not None and self._freeze.frozen

    def restart(self) -> None:
        """Compare the next image with none before it; for any thread."""
        self._restarted.set()

    def decode(self, arrival: Arrival) -> Frame:
        """Decode an image; one asked for again, as of a slow camera beside a fast one, is kept.

        Raises:
            DecodeError: if it cannot be decoded, which is counted and logged here.
        """
        if self._last is None or self._last[0] is not arrival:
            self._last = (arrival, self._try(arrival))
        outcome = self._last[1]
        if isinstance(outcome, DecodeError):
            raise outcome
        return outcome

    def _try(self, arrival: Arrival) -> Frame | DecodeError:
        try:
            frame: Frame = self._decode(
                arrival.message,
                modality=self.modality,
                units=self._units,
                max_pixels=self._max_pixels,
            )
        except DecodeError as error:
            self.camera.drops.add(error.cause)
            self._report_error(error.cause, f'{self.camera.topic}: {error}')
            return error
        self.decoded.add('decoded')
        self.last_frame = frame
        self._watch(frame)
        return frame

    def _watch(self, frame: Frame) -> None:
        if self._freeze is None:
            return
        if self._restarted.is_set():
            self._restarted.clear()
            self._freeze.reset()
        self._freeze.update(frame.image)
