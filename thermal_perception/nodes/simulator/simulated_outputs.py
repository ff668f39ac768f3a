"""What simulated cameras publish: images, odometry, and the truth as vision_msgs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TYPE_CHECKING

from nav_msgs.msg import Odometry
from sensor_msgs.msg import CameraInfo, Image
from vision_msgs.msg import Detection2DArray, Detection3DArray

from thermal_perception.encode import (
    DetectionEncoder,
    to_camera_info,
    to_detection3d_array,
    to_image,
    to_odometry,
)
from thermal_perception.geometry.transforms import to_xyz_quat
from thermal_perception.nodes.base.publishers import make_publisher
from thermal_perception.nodes.base.qos import output_qos

if TYPE_CHECKING:
    from thermal_perception.nodes.base.managed import ManagedNode
    from thermal_perception.simulation import CameraSpec, Odometry as Motion, SimulatedFrame, Truth

BASE_FRAME = 'base_link'


class CameraOutputs:
    """`NAME/image_raw` and `NAME/camera_info` of one camera."""

    def __init__(self, node: ManagedNode[Any], camera: CameraSpec, name: str = '') -> None:
        """Create the publishers on the node; NAME is the modality unless given."""
        self._camera, name = camera, name or camera.modality
        self._image = publisher(node, Image, f'{name}/image_raw', depth=5)
        self._info = publisher(node, CameraInfo, f'{name}/camera_info', depth=5)

    @property
    def publishers(self) -> list[Any]:
        """Every publisher, to destroy it."""
        return [self._image, self._info]

    def publish(self, frame: SimulatedFrame, stamp_ns: int) -> None:
        """Publish a picture under a stamp."""
        camera = self._camera
        if camera.modality == 'rgb':
            encoding = 'bgr8'
        else:
            encoding = 'mono8' if frame.image.itemsize == 1 else 'mono16'
        self._info.publish(
            to_camera_info(camera.K, camera.size, stamp_ns=stamp_ns, frame_id=camera.frame_id)
        )
        self._image.publish(
            to_image(frame.image, encoding, stamp_ns=stamp_ns, frame_id=camera.frame_id)
        )


class OdometryOutput:
    """`ego/odometry`: where the base is."""

    def __init__(self, node: ManagedNode[Any], world_frame: str) -> None:
        """Create the publisher on the node."""
        self._world_frame = world_frame
        self._odometry = publisher(node, Odometry, 'ego/odometry')

    @property
    def publishers(self) -> list[Any]:
        """Every publisher, to destroy it."""
        return [self._odometry]

    def publish(self, motion: Motion, stamp_ns: int) -> None:
        """Publish pose and speed under a stamp."""
        self._odometry.publish(
            to_odometry(
                to_xyz_quat(motion.T_world_base),
                linear_mps=motion.linear_mps,
                angular_radps=motion.angular_radps,
                stamp_ns=stamp_ns,
                world_frame=self._world_frame,
                base_frame=BASE_FRAME,
            )
        )


class TruthOutputs:
    """`ground_truth/...` of the thermal camera."""

    def __init__(self, node: ManagedNode[Any], camera: CameraSpec) -> None:
        """Create the publishers on the node."""
        self._camera = camera
        self._encode = DetectionEncoder()
        self._detections = publisher(node, Detection2DArray, 'ground_truth/detections')
        self._detections_3d = publisher(node, Detection3DArray, 'ground_truth/detections_3d')
        self._segmentation = publisher(node, Image, 'ground_truth/segmentation', depth=5)
        self._info = publisher(node, CameraInfo, 'ground_truth/camera_info', depth=5)

    @property
    def publishers(self) -> list[Any]:
        """Every publisher, to destroy it."""
        return [self._detections, self._detections_3d, self._segmentation, self._info]

    @property
    def segmentation_wanted(self) -> bool:
        """True while somebody listens to the label image."""
        return bool(self._segmentation.get_subscription_count())

    def publish_truth(self, truth: Truth, stamp_ns: int) -> None:
        """Publish what the thermal picture shows; the score of a box is its visible share."""
        detections = replace(truth.detections, scores=truth.visibility, stamp_ns=stamp_ns)
        self._detections.publish(self._encode(detections, [str(t) for t in truth.track_ids]))
        if self._detections_3d.get_subscription_count():
            boxes = replace(truth.boxes_3d, scores=truth.visibility, stamp_ns=stamp_ns)
            self._detections_3d.publish(to_detection3d_array(boxes))
        if truth.segmentation is not None:
            camera = self._camera
            self._segmentation.publish(
                to_image(
                    truth.segmentation.labels,
                    'mono8',
                    stamp_ns=stamp_ns,
                    frame_id=camera.frame_id,
                )
            )
            self._info.publish(
                to_camera_info(camera.K, camera.size, stamp_ns=stamp_ns, frame_id=camera.frame_id)
            )


def publisher(node: ManagedNode[Any], message: type[Any], topic: str, *, depth: int = 10) -> Any:
    """Create a reliable publisher; see `make_publisher`."""
    return make_publisher(node, message, topic, output_qos(depth))
