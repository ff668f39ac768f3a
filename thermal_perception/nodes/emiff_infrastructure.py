"""Node `emiff_infrastructure`: images of a roadside camera in, feature messages out."""

from __future__ import annotations

from pathlib import Path
import time
from typing import Any, TYPE_CHECKING

import numpy as np
from sensor_msgs.msg import CompressedImage

from thermal_perception.encode import to_compressed_image
from thermal_perception.geometry import from_xyz_quat, invert
from thermal_perception.nodes.base.diagnostics import Finding, Health, Level
from thermal_perception.nodes.base.entry import run_node
from thermal_perception.nodes.base.managed import ManagedNode
from thermal_perception.nodes.base.network_health import network_findings, network_values
from thermal_perception.nodes.base.publishers import make_publisher
from thermal_perception.nodes.base.qos import output_qos
from thermal_perception.nodes.base.reload import ModelHooks, ModelReload
from thermal_perception.nodes.base.statistics import EventCounter
from thermal_perception.nodes.base.worker import call_in_thread
from thermal_perception.nodes.parameters.v2x import EmiffInfrastructureParameters
from thermal_perception.nodes.v2x.calibrated_camera import CalibratedCamera
from thermal_perception.nodes.v2x.models import load_roadside
from thermal_perception.nodes.v2x.work import CameraWork
from thermal_perception.types import InfrastructureFeatures
from thermal_perception.v2x import (
    EncodedMessage,
    finest_that_fits,
    pack,
    RateLimit,
    read_private_key,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from thermal_perception.nodes.cameras.camera_input import Arrival
    from thermal_perception.nodes.v2x.calibrated_camera import Seen
    from thermal_perception.perceive.cooperative import RoadsidePerceiver, RoadsideView


class EmiffInfrastructureNode(ManagedNode[EmiffInfrastructureParameters]):
    """Sends features of every image that the budget allows, as fine as it allows."""

    def __init__(
        self,
        *,
        load: Callable[[EmiffInfrastructureParameters], RoadsidePerceiver] = load_roadside,
        **options: Any,
    ) -> None:
        """Declare parameters; nothing is loaded before `configure`."""
        super().__init__('emiff_infrastructure', EmiffInfrastructureParameters, **options)
        self._load = load
        self._camera: CalibratedCamera | None = None
        self._work: CameraWork | None = None
        self._perceiver: RoadsidePerceiver | None = None
        self._publisher: Any = None
        self._key: Any = None
        self._T_camera_world: NDArray[np.float64] = np.eye(4)
        self._rate = RateLimit(0.0)
        self._sequence = 0
        self._level: tuple[int, int] | None = None  # of the last message
        self._bytes = 0
        self._limited = EventCounter(lambda: self.reports)
        self._reload = ModelReload(
            self,
            ModelHooks(
                lambda: self._perceiver is not None,
                lambda: self._load(self.settings.values),
                self._exchange,
            ),
        )

    # Life cycle

    def configure(self) -> None:
        """Load the model, read pose and key."""
        values = self.settings.values
        self._T_camera_world = invert(from_xyz_quat(values.T_world_camera))
        self._key = read_private_key(Path(values.private_key)) if values.private_key else None
        self._perceiver = call_in_thread(lambda: self._load(values))
        self._publisher = make_publisher(self, CompressedImage, '~/features', output_qos())
        self._work = CameraWork(self, self._handle)
        self._camera = CalibratedCamera(self, self._work.put, self._work.forget)
        self._level, self._bytes = None, 0

    def activate(self) -> None:
        """Set to work, then subscribe."""
        assert self._work is not None
        assert self._camera is not None
        self._rate = RateLimit(self.settings.values.max_rate_hz)
        self._work.start()
        self._camera.open()

    def deactivate(self) -> None:
        """Unsubscribe, then finish the image in hand."""
        if self._camera is not None:
            self._camera.close()
        if self._work is not None:
            self._work.stop()

    def cleanup(self) -> None:
        """Give back the model and the publisher."""
        self._camera = self._work = self._perceiver = None
        self._reload.forget()
        if self._publisher is not None:
            self.destroy_lifecycle_publisher(self._publisher)
            self._publisher = None

    def on_time_jump(self) -> None:
        """Start over."""
        if self._camera is not None and self._work is not None:
            self._camera.reset()
            self._work.forget()

    # Diagnostics

    def hardware_id(self) -> str:
        """Return the fingerprint of the model."""
        return self._perceiver.fingerprint if self._perceiver is not None else ''

    def health(self) -> Sequence[Health]:
        """Return how the camera is, and what was sent."""
        state = self.state if self.enabled else 'disabled by ~/enable'
        findings = [*self.state_findings(), *self._reload.findings]
        if over := self._limited.recent['over budget']:
            findings.append(
                Finding(Level.WARN, f'{over} images not sent: even the coarsest is too large')
            )
        report: dict[str, Any] = {'state': state}
        if self._work is not None and self._perceiver is not None:
            findings += network_findings(self._perceiver, self._work.events)
            level = self._level
            report |= {
                **network_values(self._perceiver, self._work.events),
                'sender': self.settings.values.sender_id,
                'signed': self._key is not None,
                'level': 'none' if level is None else f'c={level[0]} s={level[1]}',
                'bytes per frame': self._bytes,
                'sent': self._limited.total('sent'),
                'bytes sent': self._limited.total('bytes'),
                'not sent for the rate': self._limited.total('rate'),
                'not sent for the size': self._limited.total('over budget'),
                **self._work.values(),
            }
        sending = Health('features', state, tuple(findings), report)
        if self._camera is None:
            return [sending]
        return [self._camera.health(summary=state, active=self.state == 'active'), sending]

    # Model

    def _exchange(self, loaded: RoadsidePerceiver) -> str:
        assert self._perceiver is not None
        old, self._perceiver = self._perceiver, loaded
        self._level, self._bytes = None, 0
        return f'{old.fingerprint} -> {loaded.fingerprint}'

    # The worker's thread

    def _handle(self, arrival: Arrival) -> Mapping[str, float] | None:
        if not self._rate.admits(arrival.stamp_ns):
            self._limited.add('rate')
            return None
        assert self._camera is not None
        started_s = time.perf_counter()
        seen = self._camera.read(arrival)
        decoded_s = time.perf_counter()
        message = self._encoded(seen)
        encoded_s = time.perf_counter()
        if message is None:
            self._limited.add('over budget')
            return None
        self._publisher.publish(
            to_compressed_image(
                message.data,
                message.format,
                stamp_ns=message.stamp_ns,
                frame_id=message.frame_id,
            )
        )
        self._limited.add('sent')
        self._limited.add('bytes', len(message.data))
        return {
            'decode': decoded_s - started_s,
            'model and message': encoded_s - decoded_s,
            'publish': time.perf_counter() - encoded_s,
        }

    def _encoded(self, seen: Seen) -> EncodedMessage | None:
        """Return the message of the finest level that fits, None if even the coarsest does not."""
        perceiver, limit = self._perceiver, self.settings.values.max_bytes_per_frame
        assert perceiver is not None
        image = np.asarray(seen.frame.image, np.uint8)
        views = perceiver.at_levels(image, seen.camera, perceiver.levels)
        fitted = finest_that_fits(
            perceiver.levels,
            lambda level: self._message(perceiver.fingerprint, seen, level, views[level]),
            limit,
        )
        if fitted is None:
            return None
        self._level, self._bytes = perceiver.levels[fitted.level_index], len(fitted.message.data)
        return fitted.message

    def _message(
        self, fingerprint: str, seen: Seen, level: tuple[int, int], view: RoadsideView
    ) -> EncodedMessage:
        values: Any = self.settings.values
        frame, camera = seen
        self._sequence += 1
        features = InfrastructureFeatures(
            features=view.features,
            level=level,
            K=camera.K,
            D=camera.D,
            image_size=camera.size,
            resize_factor=view.resize_factor,
            padded_size=view.padded_size,
            T_camera_world=self._T_camera_world,
            world_frame=values.world_frame,
            sender_id=values.sender_id,
            sequence=self._sequence,
            fingerprint=fingerprint,
            stamp_ns=frame.stamp_ns,
            frame_id=frame.frame_id,
        )
        return pack(features, kind=values.feature_kind, codec=values.codec, key=self._key)


def main(args: Sequence[str] | None = None) -> int:
    """Run the node; `args` as for `rclpy.init`."""
    return run_node(EmiffInfrastructureNode, args)
