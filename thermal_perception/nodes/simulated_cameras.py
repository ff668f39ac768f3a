"""Node `simulated_cameras`: a small world, a thermal and a colour camera, and the truth."""

from __future__ import annotations

from itertools import count
import threading
import time
from typing import Any, TYPE_CHECKING

from nav_msgs.msg import Odometry
import numpy as np
from sensor_msgs.msg import CameraInfo, Image
from vision_msgs.msg import Detection2DArray, Detection3DArray

from thermal_perception.encode import to_detection2d_array, to_header, to_image
from thermal_perception.encode.world import to_camera_info, to_detection3d_array, to_odometry
from thermal_perception.errors import SimulationError
from thermal_perception.nodes.diagnostics import Finding, Health, Level
from thermal_perception.nodes.entry import run_node
from thermal_perception.nodes.managed import ManagedNode
from thermal_perception.nodes.qos import output_qos, overridable
from thermal_perception.nodes.simulated_cameras_parameters import SimulatedCamerasParameters
from thermal_perception.simulation import CameraSpec, default_rig, render, Scene, ThermalSensor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thermal_perception.simulation import Rig, SimulatedFrame, Truth

WORLD_FRAME, BASE_FRAME = 'world', 'base_link'
_TRUTH = 'ground_truth/'


class SimulatedCamerasNode(ManagedNode[SimulatedCamerasParameters]):
    """Renders and publishes in a thread of its own, so that parameters and services answer.

    `ground_truth/detections` carries the header of its thermal image; a hypothesis' score is the
    visible share of the object, `id` its track.
    """

    def __init__(self, **options: Any) -> None:
        """Declare parameters; the world is laid out in `configure`."""
        super().__init__('simulated_cameras', SimulatedCamerasParameters, **options)
        self._scene: Scene | None = None
        self._rig: Rig | None = None
        self._outputs: dict[str, Any] = {}
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._rng = np.random.default_rng(0)
        self._frozen: SimulatedFrame | None = None
        self._held: list[tuple[str, Any]] = []
        self._images = 0
        self._late = 0

    # Life cycle

    def configure(self) -> None:
        """Lay out the world and mount the cameras."""
        values = self.settings.values
        if values.bits not in (8, 16):
            raise SimulationError(f'bits: found {values.bits}, expected 8 or 16')
        preset: Any = values.preset
        self._scene = Scene(preset, values.condition, values.seed)
        self._rig = default_rig(
            preset,
            thermal_size=_size(values.thermal_size, 'thermal_size'),
            rgb_size=_size(values.rgb_size, 'rgb_size'),
            registered=values.registered,
            pitch_deg=self._scene.pitch_deg,
            thermal_sensor=ThermalSensor(seed=values.seed, ffc_period_s=values.ffc_period_s),
        )
        self._rng = np.random.default_rng(values.seed)
        for topic, message in _TOPICS.items():
            self._outputs[topic] = self.create_lifecycle_publisher(
                message, topic, output_qos(5), qos_overriding_options=overridable()
            )

    def activate(self) -> None:
        """Start to render."""
        self._ended.clear()
        self._thread = threading.Thread(target=self._run, name='render', daemon=True)
        self._thread.start()

    def deactivate(self) -> None:
        """Stop after the image in hand."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def cleanup(self) -> None:
        """Give back world and publishers."""
        for publisher in self._outputs.values():
            self.destroy_lifecycle_publisher(publisher)
        self._outputs.clear()
        self._held.clear()
        self._scene = self._rig = self._frozen = None

    def health(self) -> Sequence[Health]:
        """Report how many images were published, and whether rendering keeps up."""
        findings = self.state_findings()
        if self._late:
            findings.append(
                Finding(Level.WARN, f'rendering is slower than rate_hz: {self._late} periods late')
            )
        values = {'images': self._images, 'late periods': self._late}
        return [Health('world', self.state, tuple(findings), values)]

    # Rendering thread

    def _run(self) -> None:
        started = time.monotonic()
        period_s = 1.0 / self.settings.values.rate_hz
        for tick in count():
            due = started + tick * period_s
            if self._ended.wait(max(0.0, due - time.monotonic())):
                return
            elapsed_s = time.monotonic() - started
            if 0.0 < self.settings.values.duration_s < elapsed_s:
                return
            if elapsed_s - tick * period_s > period_s:  # skip what cannot be caught up with
                skipped = int((elapsed_s - tick * period_s) / period_s)
                self._late += skipped
                started += skipped * period_s
            try:
                self._publish_moment(elapsed_s)
            except Exception as error:
                if self._ended.is_set() or not self.context.ok():
                    return  # ROS went away under us
                self.get_logger().error(f'rendering failed: {type(error).__name__}: {error}')

    def _publish_moment(self, time_s: float) -> None:
        assert self._scene is not None
        assert self._rig is not None
        values = self.settings.values
        stamp_ns = self.get_clock().now().nanoseconds
        self._publish_odometry(time_s, stamp_ns)
        if not values.drop_thermal:
            self._publish_thermal(time_s, stamp_ns + self._jitter_ns())
        if values.publish_rgb and not values.drop_rgb:
            offset_ns = round(values.time_offset_s * 1e9)
            self._publish_rgb(time_s, stamp_ns + offset_ns + self._jitter_ns())

    def _jitter_ns(self) -> int:
        return round(self._rng.uniform(-1, 1) * self.settings.values.jitter_s * 1e9)

    def _publish_odometry(self, time_s: float, stamp_ns: int) -> None:
        assert self._scene is not None
        odometry = self._scene.odometry(time_s)
        message = to_odometry(
            *odometry, stamp_ns=stamp_ns, world_frame=WORLD_FRAME, base_frame=BASE_FRAME
        )
        self._outputs['ego/odometry'].publish(message)

    def _publish_thermal(self, time_s: float, stamp_ns: int) -> None:
        assert self._rig is not None
        camera, bits = self._rig.thermal, self.settings.values.bits
        frame = self._thermal_frame(time_s, camera, bits)
        encoding = 'mono8' if bits == 8 else 'mono16'
        info = to_camera_info(camera.K, camera.size, stamp_ns=stamp_ns, frame_id=camera.frame_id)
        image = to_image(frame.image, encoding, stamp_ns=stamp_ns, frame_id=camera.frame_id)
        # The truth goes first: who compares has it when the result arrives.
        messages = [*self._truth(frame.truth, camera, stamp_ns)]
        messages += [('thermal/camera_info', info), ('thermal/image_raw', image)]
        self._images += 1
        for topic, message in self._in_order(messages):
            self._outputs[topic].publish(message)

    def _thermal_frame(self, time_s: float, camera: CameraSpec, bits: int) -> SimulatedFrame:
        assert self._scene is not None
        if self.settings.values.freeze_thermal and self._frozen is not None:
            return self._frozen
        self._frozen = render(
            self._scene,
            time_s,
            camera,
            bits=bits,
            with_segmentation=_heard(self._outputs[_TRUTH + 'segmentation']),
        )
        return self._frozen

    def _in_order(self, messages: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
        """Return what to publish now; with the fault on, every second image waits for the next."""
        held, self._held = self._held, []
        if self.settings.values.out_of_order and not held:
            self._held = messages
            return []
        return messages + held

    def _truth(
        self, truth: Truth | None, camera: CameraSpec, stamp_ns: int
    ) -> list[tuple[str, Any]]:
        assert truth is not None
        detections = to_detection2d_array(truth.detections)
        _restamp(detections, stamp_ns, camera.frame_id)
        for detection, visible, track in zip(
            detections.detections, truth.visibility.tolist(), truth.track_ids.tolist()
        ):
            detection.results[0].hypothesis.score = visible
            detection.id = str(track)
        messages: list[tuple[str, Any]] = [(_TRUTH + 'detections', detections)]
        if _heard(self._outputs[_TRUTH + 'detections_3d']):
            boxes = to_detection3d_array(truth.boxes_3d)
            _restamp(boxes, stamp_ns, truth.boxes_3d.frame_id)
            messages.append((_TRUTH + 'detections_3d', boxes))
        if truth.segmentation is not None:
            labels = truth.segmentation.labels
            mask = to_image(labels, 'mono8', stamp_ns=stamp_ns, frame_id=camera.frame_id)
            messages.append((_TRUTH + 'segmentation', mask))
        return messages

    def _publish_rgb(self, time_s: float, stamp_ns: int) -> None:
        assert self._scene is not None
        assert self._rig is not None
        camera = self._rig.rgb
        picture = render(self._scene, time_s, camera, with_truth=False).image
        info = to_camera_info(camera.K, camera.size, stamp_ns=stamp_ns, frame_id=camera.frame_id)
        image = to_image(picture, 'bgr8', stamp_ns=stamp_ns, frame_id=camera.frame_id)
        self._outputs['rgb/camera_info'].publish(info)
        self._outputs['rgb/image_raw'].publish(image)


_TOPICS: dict[str, type[Any]] = {
    'thermal/image_raw': Image,
    'thermal/camera_info': CameraInfo,
    'rgb/image_raw': Image,
    'rgb/camera_info': CameraInfo,
    'ego/odometry': Odometry,
    _TRUTH + 'detections': Detection2DArray,
    _TRUTH + 'detections_3d': Detection3DArray,
    _TRUTH + 'segmentation': Image,
}


def _size(values: tuple[int, ...], name: str) -> tuple[int, int]:
    if len(values) != 2 or min(values) < 8:
        raise SimulationError(f'{name}: found {values}, expected [height, width] from 8 px')
    return values[0], values[1]


def _restamp(message: Any, stamp_ns: int, frame_id: str) -> None:
    """Give an array message and its members the header of the published image."""
    message.header = to_header(stamp_ns, frame_id)
    for detection in message.detections:
        detection.header = message.header


def _heard(publisher: Any) -> bool:
    return bool(publisher.get_subscription_count())


def main(args: Sequence[str] | None = None) -> int:
    """Run the node; `args` as for `rclpy.init`."""
    return run_node(SimulatedCamerasNode, args)
