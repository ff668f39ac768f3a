"""Node `emiff_vehicle`: images of a vehicle and features of roadside cameras in, 3D boxes out."""

from __future__ import annotations

from pathlib import Path
import threading
import time
from typing import Any, TYPE_CHECKING

from nav_msgs.msg import Odometry
import numpy as np
from sensor_msgs.msg import CompressedImage
from vision_msgs.msg import Detection3DArray, LabelInfo
from visualization_msgs.msg import MarkerArray

from thermal_perception.decode import stamp_ns_of
from thermal_perception.encode import to_detection3d_array, to_label_info, to_markers
from thermal_perception.errors import GeometryError, V2xError
from thermal_perception.geometry import boxes_in, compose, from_xyz_quat, invert
from thermal_perception.nodes.base.diagnostics import counts_text, Finding, Health, Level
from thermal_perception.nodes.base.entry import run_node
from thermal_perception.nodes.base.managed import ManagedNode
from thermal_perception.nodes.base.network_health import network_findings, network_values
from thermal_perception.nodes.base.publishers import heard, make_publisher
from thermal_perception.nodes.base.qos import input_qos, latched_qos, output_qos, overridable
from thermal_perception.nodes.base.reload import ModelHooks, ModelReload
from thermal_perception.nodes.base.statistics import EventCounter, RateMeter
from thermal_perception.nodes.base.worker import call_in_thread
from thermal_perception.nodes.parameters.v2x import EmiffVehicleParameters
from thermal_perception.nodes.v2x.calibrated_camera import CalibratedCamera
from thermal_perception.nodes.v2x.models import load_vehicle, own_view, received_view
from thermal_perception.nodes.v2x.work import CameraWork
from thermal_perception.v2x import (
    EgoTrack,
    EncodedMessage,
    Limits,
    Receiver,
    ReceiverConfig,
    TrustedKeys,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from thermal_perception.nodes.cameras.camera_input import Arrival
    from thermal_perception.perceive.cooperative import CooperativePerception, VehiclePerceiver
    from thermal_perception.v2x import Chosen

_LIDAR = 'lidar'  # never published: boxes leave in the base frame


class EmiffVehicleNode(ManagedNode[EmiffVehicleParameters]):
    """Finds objects around the vehicle, with features of the roadside if there are good ones."""

    def __init__(
        self,
        *,
        load: Callable[[EmiffVehicleParameters], VehiclePerceiver] = load_vehicle,
        **options: Any,
    ) -> None:
        """Declare parameters; nothing is loaded before `configure`."""
        super().__init__('emiff_vehicle', EmiffVehicleParameters, **options)
        self._load = load
        self._camera: CalibratedCamera | None = None
        self._work: CameraWork | None = None
        self._perceiver: VehiclePerceiver | None = None
        self._receiver: Receiver | None = None
        self._keys: TrustedKeys | None = None
        self._track = EgoTrack()
        self._lock = threading.Lock()  # of receiver and track
        self._subscriptions_open: list[Any] = []
        self._boxes: Any = None
        self._markers: Any = None
        self._link = EventCounter(lambda: self.reports)
        self._used = RateMeter()
        self._last: Chosen | None = None
        self._T_base_lidar: NDArray[np.float64] = np.eye(4)
        self._T_camera_lidar: NDArray[np.float64] = np.eye(4)
        self._reload = ModelReload(
            self,
            ModelHooks(
                lambda: self._perceiver is not None,
                lambda: self._load(self.settings.values),
                self._exchange,
            ),
        )
        self._labels: Any = None
        self.settings.on_change(lambda values: self._publish_labels())

    # Life cycle

    def configure(self) -> None:
        """Load the model, read poses and keys."""
        values = self.settings.values
        self._T_base_lidar = from_xyz_quat(values.T_base_lidar)
        T_base_camera = from_xyz_quat(values.T_base_camera)
        self._T_camera_lidar = compose(invert(T_base_camera), self._T_base_lidar)
        self._keys = (
            TrustedKeys.from_folder(Path(values.trusted_keys)) if values.trusted_keys else None
        )
        if self._keys is None:
            self.get_logger().warning('links are open: without trusted_keys anybody is heard')
        perceiver = call_in_thread(lambda: self._load(values))
        self._receiver, self._perceiver = self._make_receiver(perceiver), perceiver
        self._track = EgoTrack()
        self._labels = make_publisher(self, LabelInfo, '~/label_info', latched_qos())
        self._boxes = make_publisher(self, Detection3DArray, '~/detections_3d', output_qos())
        self._markers = make_publisher(self, MarkerArray, '~/markers', output_qos(2))
        self._work = CameraWork(self, self._handle)
        self._camera = CalibratedCamera(self, self._work.put, self._forget)

    def activate(self) -> None:
        """Set to work, then subscribe."""
        assert self._work is not None
        assert self._camera is not None
        self._used = RateMeter()
        self._publish_labels()
        self._work.start()
        self._subscriptions_open = [
            self.create_subscription(
                message, topic, callback, input_qos(10), qos_overriding_options=overridable()
            )
            for message, topic, callback in (
                (Odometry, 'ego/odometry', self._on_odometry),
                (CompressedImage, 'infra/features', self._on_features),
            )
        ]
        self._camera.open()

    def deactivate(self) -> None:
        """Unsubscribe, then finish the image in hand."""
        if self._camera is not None:
            self._camera.close()
        for subscription in self._subscriptions_open:
            self.destroy_subscription(subscription)
        self._subscriptions_open = []
        if self._work is not None:
            self._work.stop()

    def cleanup(self) -> None:
        """Give back the model and the publishers."""
        self._camera = self._work = self._perceiver = self._receiver = self._last = None
        self._reload.forget()
        for publisher in (self._boxes, self._markers, self._labels):
            if publisher is not None:
                self.destroy_lifecycle_publisher(publisher)
        self._boxes = self._markers = self._labels = None

    def on_time_jump(self) -> None:
        """Start over."""
        if self._camera is not None:
            self._camera.reset()
        self._forget()

    # Diagnostics

    def hardware_id(self) -> str:
        """Return the fingerprint of the model."""
        return self._perceiver.fingerprint if self._perceiver is not None else ''

    def health(self) -> Sequence[Health]:
        """Return how camera, link and boxes are."""
        state = self.state if self.enabled else 'disabled by ~/enable'
        boxes = Health('perception', state, tuple(self._findings()), self._values(state))
        if self._camera is None:
            return [boxes]
        active = self.state == 'active'
        return [
            self._camera.health(summary=state, active=active),
            self._link_health(state, active=active),
            boxes,
        ]

    def _findings(self) -> list[Finding]:
        findings = [*self.state_findings(), *self._reload.findings]
        if self._work is not None and self._perceiver is not None:
            findings += network_findings(self._perceiver, self._work.events)
        return findings

    def _values(self, state: str) -> dict[str, Any]:
        values: dict[str, Any] = {'state': state}
        if self._work is None or self._perceiver is None:
            return values
        network = network_values(self._perceiver, self._work.events)
        return {**values, **network, **self._work.values()}

    def _link_health(self, state: str, *, active: bool) -> Health:
        """Tell whether features come and are used, and why not."""
        findings = []
        recent, last = self._link.recent, self._last
        if active and self._used.silent_s > self.settings.values.link_timeout_s:
            causes = {k: v for k, v in recent.items() if k != 'accepted'}
            idle = 'no image to use them with' if recent['accepted'] else 'nothing received'
            why = counts_text(causes) or idle
            findings.append(
                Finding(
                    Level.WARN,
                    f'vehicle only: no usable features for {self._used.silent_s:.1f} s ({why})',
                )
            )
        elif refused := {k: v for k, v in recent.items() if k not in ('accepted', 'not_selected')}:
            findings.append(Finding(Level.WARN, f'messages refused: {counts_text(refused)}'))
        values = {
            'used rate [Hz]': self._used.hz,
            'sender': 'none' if last is None else last.features.sender_id,
            'level': 'none' if last is None else 'c={} s={}'.format(*last.features.level),
            'feature age [s]': 0.0 if last is None else last.age_s,
            'weight': 0.0 if last is None else last.weight,
            'coverage': 0.0 if last is None else last.coverage,
            'poses': len(self._track),
            'signatures': 'checked' if self.settings.values.trusted_keys else 'not checked',
            **self._link.totals,
        }
        return Health('v2x', state, tuple(findings), values)

    # Callbacks; they return at once

    def _on_odometry(self, message: Odometry) -> None:
        frame, values = message.header.frame_id, self.settings.values
        if frame != values.world_frame:
            self._link.add('odometry_frame')
            self.throttled.warning(
                'odometry',
                f'ego/odometry: found frame {frame!r}, expected {values.world_frame!r}; another '
                'drifts away from it',
            )
            return
        position, turn = message.pose.pose.position, message.pose.pose.orientation
        numbers = (position.x, position.y, position.z, turn.x, turn.y, turn.z, turn.w)
        try:
            T_world_base = from_xyz_quat(numbers)
        except GeometryError as error:
            self._link.add('bad_odometry')
            self.throttled.warning('odometry', f'ego/odometry: {error}')
            return
        with self._lock:
            self._track.add(stamp_ns_of(message.header), T_world_base)

    def _on_features(self, message: CompressedImage) -> None:
        receiver = self._receiver
        if receiver is None or not self.enabled:
            return
        encoded = EncodedMessage(
            stamp_ns_of(message.header),
            message.header.frame_id,
            message.format,
            bytes(message.data),
        )
        try:
            with self._lock:
                receiver.receive(encoded, now_ns=self.get_clock().now().nanoseconds)
        except V2xError as error:
            self._link.add(error.cause)
            self.throttled.warning(error.cause, f'infra/features: {error}')
        else:
            self._link.add('accepted')

    def _forget(self) -> None:
        with self._lock:
            self._track = EgoTrack()
            if self._receiver is not None:
                self._receiver.forget()
        if self._work is not None:
            self._work.forget()

    # Model

    def _make_receiver(self, perceiver: VehiclePerceiver) -> Receiver:
        """Return what believes messages of the same model."""
        values = self.settings.values
        config = ReceiverConfig(
            fingerprint=perceiver.fingerprint,
            shapes=perceiver.shapes,
            padded_size=perceiver.padded_size,
            world_frame=values.world_frame,
            max_age_s=values.max_feature_age_s,
            fade_from_s=values.fade_from_s,
            max_future_s=values.max_future_s,
            max_distance_m=values.max_sender_distance_m,
            min_coverage=values.min_coverage,
            limits=Limits(max_bytes=values.max_message_bytes),
        )
        return Receiver(config, perceiver.voxels(), self._keys)

    def _exchange(self, loaded: VehiclePerceiver) -> str:
        """Put a model in place; what was received for another one is of no use to it."""
        receiver, old = self._receiver, self._perceiver
        assert old is not None
        if loaded.fingerprint != old.fingerprint:
            receiver = self._make_receiver(loaded)
        with self._lock:
            self._perceiver, self._receiver = loaded, receiver
        self._publish_labels()
        return f'{old.fingerprint} -> {loaded.fingerprint}'

    def _publish_labels(self) -> None:
        """Publish what the class ids mean, and below which score nothing is published."""
        if self._labels is None or self._perceiver is None:
            return
        threshold = self._threshold
        if threshold is None:
            threshold = self._perceiver.score_threshold
        now_ns = self.get_clock().now().nanoseconds
        names = self._perceiver.class_names
        self._labels.publish(to_label_info(names, threshold, stamp_ns=now_ns))

    # The worker's thread

    def _handle(self, arrival: Arrival) -> Mapping[str, float]:
        assert self._camera is not None
        started_s = time.perf_counter()
        frame, camera = self._camera.read(arrival)
        with self._lock:
            perceiver, receiver = self._perceiver, self._receiver  # of the same model
        assert perceiver is not None
        assert receiver is not None
        chosen = self._choose(receiver, frame.stamp_ns)
        decoded_s = time.perf_counter()
        own = own_view(np.asarray(frame.image, np.uint8), camera, self._T_camera_lidar)
        found = self._perceive(perceiver, own, chosen, frame.stamp_ns)
        perceived_s = time.perf_counter()
        boxes = boxes_in(self._T_base_lidar, found.boxes, self.settings.values.base_frame)
        self._boxes.publish(to_detection3d_array(boxes))
        if self.settings.values.publish_markers and heard(self._markers):
            self._markers.publish(to_markers(boxes))
        return {
            'decode': decoded_s - started_s,
            **found.stages_s,
            'publish': time.perf_counter() - perceived_s,
        }

    def _perceive(
        self, perceiver: VehiclePerceiver, own: Any, chosen: Chosen | None, stamp_ns: int
    ) -> CooperativePerception:
        """Find objects; what somebody sent must not keep the vehicle from seeing by itself."""
        told: dict[str, Any] = {
            'stamp_ns': stamp_ns, 'frame_id': _LIDAR, 'score_threshold': self._threshold,
        }  # fmt: skip
        if chosen is not None:
            try:
                return perceiver(own, received_view(chosen), **told)
            except Exception as error:
                self._link.add('unusable')
                self._last = None
                sender = chosen.features.sender_id
                self.throttled.error('unusable', f'features of {sender}: {error}')
        return perceiver(own, None, **told)

    @property
    def _threshold(self) -> float | None:
        threshold = self.settings.values.score_threshold
        return None if threshold < 0 else threshold

    def _choose(self, receiver: Receiver, stamp_ns: int) -> Chosen | None:
        """Return the features to be used with an image, counting why there are none."""
        with self._lock:
            T_world_base = self._track.at(stamp_ns)
            if T_world_base is None:
                self._link.add('no_ego_pose')
                self._last = None
                return None
            before = receiver.counts.copy()
            chosen = receiver.choose(stamp_ns, T_world_base @ self._T_base_lidar)
            for cause, count in (receiver.counts - before).items():
                self._link.add(cause, count)
        if chosen is not None:
            self._used.tick()
        self._last = chosen
        return chosen


def main(args: Sequence[str] | None = None) -> int:
    """Run the node; `args` as for `rclpy.init`."""
    return run_node(EmiffVehicleNode, args)
