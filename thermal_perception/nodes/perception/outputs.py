"""What every detector publishes; only what somebody listens to is computed."""

from __future__ import annotations

from typing import Any, TYPE_CHECKING

from sensor_msgs.msg import CameraInfo, Image
from vision_msgs.msg import Classification, Detection2DArray, LabelInfo

from thermal_perception.encode import (
    draw_overlay,
    to_header,
    to_image,
    to_label_info,
    to_named_values,
)
from thermal_perception.nodes.base.publishers import heard, make_publisher
from thermal_perception.nodes.base.qos import latched_qos, output_qos
from thermal_perception.nodes.perception.box_encoder import box_encoder

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from rclpy.qos import QoSProfile

    from thermal_perception.nodes.base.managed import ManagedNode
    from thermal_perception.nodes.parameters.perception import PerceptionParameters
    from thermal_perception.types import Frame, FrameSet, Output, Perception


class DetectorOutputs:
    """The publishers of a detector; they are silent until the node is active.

    `~/overlay` and `~/camera_info` are siblings, as image_transport pairs them.
    """

    def __init__(self, node: ManagedNode[PerceptionParameters]) -> None:
        """Create the publishers on the node."""
        self._node = node
        self._encode = box_encoder()
        self._publishers: list[Any] = []
        self._detections = self.add(Detection2DArray, '~/detections')
        self._label_info = self.add(LabelInfo, '~/label_info', latched_qos())
        self._overlay = self.add(Image, '~/overlay', output_qos(2))
        self._camera_info = self.add(CameraInfo, '~/camera_info', output_qos(2))
        self._stage_times = self.add(Classification, '~/stage_times')

    def add(self, message: type[Any], topic: str, qos: QoSProfile | None = None) -> Any:
        """Create a publisher that `destroy` removes."""
        publisher = make_publisher(self._node, message, topic, qos or output_qos())
        self._publishers.append(publisher)
        return publisher

    def destroy(self) -> None:
        """Remove the publishers."""
        for publisher in self._publishers:
            self._node.destroy_lifecycle_publisher(publisher)

    @property
    def wanted(self) -> frozenset[Output]:
        """What the model is to compute for those who listen now."""
        return frozenset({'detections'})

    @property
    def camera_info_wanted(self) -> bool:
        """True while somebody subscribes to a picture or its camera_info."""
        return self.overlay_wanted or (
            self._node.settings.values.publish_overlay and heard(self._camera_info)
        )

    @property
    def detections_heard(self) -> bool:
        """True while somebody subscribes to the boxes."""
        return heard(self._detections)

    @property
    def overlay_wanted(self) -> bool:
        """True while somebody subscribes to the overlay."""
        return self._node.settings.values.publish_overlay and heard(self._overlay)

    def publish(
        self,
        frames: FrameSet,
        perception: Perception,
        wanted: Collection[Output],
        camera_info: CameraInfo | None,
    ) -> None:
        """Publish the result of one moment.

        Args:
            frames: what the model looked at.
            perception: what it found.
            wanted: what it was asked for; boxes also when there are none.
            camera_info: of the leading camera, None if unknown.
        """
        if 'detections' in wanted:
            self._detections.publish(self._encode(perception.detections))
        if self.camera_info_wanted:
            self._publish_camera_info(frames.leader, camera_info)
        if self.overlay_wanted and (overlay := self.draw(frames, perception)) is not None:
            self.publish_picture(self._overlay, overlay, frames.leader)

    def draw(self, frames: FrameSet, perception: Perception) -> NDArray[np.uint8] | None:
        """Return the overlay, B, G, R: boxes on the fused image where there is one.

        None where the model was not asked for what belongs on it: somebody subscribed just now.
        """
        fused = perception.fused
        picture = frames.leader.image if fused is None else fused.image
        return draw_overlay(picture, perception.detections)

    def publish_picture(self, publisher: Any, picture: NDArray[np.uint8], frame: Frame) -> None:
        """Publish a grey or B, G, R picture of the moment of a frame."""
        encoding = 'bgr8' if picture.ndim == 3 else 'mono8'
        publisher.publish(
            to_image(picture, encoding, stamp_ns=frame.stamp_ns, frame_id=frame.frame_id)
        )

    def publish_labels(self, class_names: Sequence[str], threshold: float) -> None:
        """Tell what the class ids mean; late subscribers get it too."""
        now_ns = self._node.get_clock().now().nanoseconds
        self._label_info.publish(to_label_info(class_names, threshold, stamp_ns=now_ns))

    def publish_stage_times(self, stages_s: Mapping[str, float], frame: Frame) -> None:
        """Publish what each stage of one moment took, milliseconds by name."""
        if heard(self._stage_times):
            values = {name: duration_s * 1e3 for name, duration_s in stages_s.items()}
            self._stage_times.publish(
                to_named_values(values, stamp_ns=frame.stamp_ns, frame_id=frame.frame_id)
            )

    def _publish_camera_info(self, frame: Frame, camera_info: CameraInfo | None) -> None:
        if camera_info is not None and (camera_info.height, camera_info.width) == frame.size:
            camera_info.header = to_header(frame.stamp_ns, frame.frame_id)
            self._camera_info.publish(camera_info)
