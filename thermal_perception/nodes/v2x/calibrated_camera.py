"""The colour camera of a node that has to know how it sees."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple, TYPE_CHECKING

from thermal_perception.errors import DecodeError, GeometryError
from thermal_perception.geometry import Camera
from thermal_perception.nodes.base.diagnostics import Finding, Level
from thermal_perception.nodes.cameras.camera_health import DISABLED, input_health
from thermal_perception.nodes.cameras.camera_info_input import CameraInfoInput
from thermal_perception.nodes.cameras.frame_source import FrameSource

if TYPE_CHECKING:
    from collections.abc import Callable

    from thermal_perception.nodes.base.diagnostics import Health
    from thermal_perception.nodes.base.managed import ManagedNode
    from thermal_perception.nodes.cameras.camera_input import Arrival
    from thermal_perception.types import Frame


_CAUSES = {
    'no_camera_info': 'images, but no rgb/camera_info',
    'bad_camera_info': 'rgb/camera_info is of no camera',
    'camera_info_mismatch': 'rgb/camera_info has another size than the images',
}


class Seen(NamedTuple):
    """An image and the camera that took it."""

    frame: Frame
    camera: Camera


class CalibratedCamera:
    """Hands on each image of `rgb/image_raw`, and reads it with `rgb/camera_info`.

    Attributes:
        source: the camera.
    """

    def __init__(
        self,
        node: ManagedNode[Any],
        put: Callable[[Arrival], None],
        forget: Callable[[], None],
    ) -> None:
        """Prepare the input; `open` subscribes.

        Args:
            node: owner of the subscriptions.
            put: takes each arrival, in the camera's thread; must not block.
            forget: called when the stamps jump back, before what comes after.
        """
        self._node, self._put, self._forget = node, put, forget
        self.source = FrameSource(
            node,
            'rgb',
            transport=node.settings.values.image_transport,
            on_arrival=self._on_arrival,
            on_restart=self._on_restart,
        )
        self._info = CameraInfoInput(node, 'rgb/camera_info')
        self._known: tuple[tuple[Any, ...], Camera] | None = None

    def open(self) -> None:
        """Subscribe."""
        self._info.follow(True)
        self.source.camera.open()

    def close(self) -> None:
        """Unsubscribe, and forget what the images looked like."""
        self.source.camera.close()
        self.source.restart()
        self._info.follow(False)

    def reset(self) -> None:
        """Forget the stamps seen, after the clock has jumped."""
        self.source.camera.reset()
        self.source.restart()

    def read(self, arrival: Arrival) -> Seen:
        """Decode an image; in the worker's thread.

        Raises:
            DecodeError: if it cannot be decoded, or camera_info is not there or does not fit;
                counted and logged here.
        """
        frame = self.source.decode(arrival)
        try:
            return Seen(frame, self._camera(frame))
        except DecodeError as error:
            self.source.camera.drops.add(error.cause)
            self._node.throttled.error(error.cause, str(error))
            raise

    def health(self, *, summary: str, active: bool) -> Health:
        """Return how the camera is; without a fitting camera_info its images are of no use."""
        health = input_health(
            self.source,
            summary=summary,
            silence=Level.STALE,
            timeout_s=self._node.settings.values.input_timeout_s,
            active=active,
        )
        recent = self.source.camera.drops.recent
        findings = [Finding(Level.ERROR, text) for cause, text in _CAUSES.items() if recent[cause]]
        return replace(health, findings=(*findings, *health.findings)) if active else health

    def _camera(self, frame: Frame) -> Camera:
        message = self._info.latest
        if message is None:
            raise DecodeError(
                'rgb/camera_info: found none yet, expected one beside the images',
                cause='no_camera_info',
            )
        key = (message.distortion_model, *message.k, *message.d, message.height, message.width)
        if self._known is None or self._known[0] != key:
            try:
                self._known = (key, Camera.from_camera_info(message))
            except GeometryError as error:
                raise DecodeError(f'rgb/camera_info: {error}', cause='bad_camera_info') from error
        camera = self._known[1]
        if camera.size != frame.size:
            raise DecodeError(
                f'rgb/camera_info: found {camera.size}, expected {frame.size} as the image has',
                cause='camera_info_mismatch',
            )
        return camera

    def _on_arrival(self, arrival: Arrival) -> None:
        if self._node.enabled:
            self._put(arrival)
        else:
            self.source.camera.drops.add(DISABLED)

    def _on_restart(self) -> None:
        self.source.restart()
        self._forget()
