"""What the detector publishes; only what somebody listens to is computed."""

from __future__ import annotations

from typing import Any, TYPE_CHECKING

from rclpy.event_handler import PublisherEventCallbacks
from sensor_msgs.msg import CameraInfo, Image
from vision_msgs.msg import Classification, Detection2DArray, LabelInfo

from thermal_perception.encode import (
    DetectionEncoder,
    draw_overlay,
    to_classification,
    to_header,
    to_image,
    to_label_info,
    to_named_values,
)
from thermal_perception.nodes.qos import (
    incompatible_subscriber_text,
    latched_qos,
    output_qos,
    overridable,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rclpy.qos import QoSProfile

    from thermal_perception.nodes.managed import ManagedNode
    from thermal_perception.types import Detections, Frame, FusionWeights


class DetectorOutputs:
    """The publishers of a detector; they are silent until the node is active.

    `~/overlay` and `~/camera_info` are siblings, as image_transport pairs them.
    """

    def __init__(self, node: ManagedNode[Any]) -> None:
        """Create the publishers on the node."""
        self._node = node
        self._encode = DetectionEncoder()
        self._detections = make_publisher(node, Detection2DArray, '~/detections', output_qos())
        self._label_info = make_publisher(node, LabelInfo, '~/label_info', latched_qos())
        self._overlay = make_publisher(node, Image, '~/overlay', output_qos(2))
        self._camera_info = make_publisher(node, CameraInfo, '~/camera_info', output_qos(2))
        self._fusion = make_publisher(node, Classification, '~/fusion_weights', output_qos())
        self._stage_times = make_publisher(node, Classification, '~/stage_times', output_qos())

    def destroy(self) -> None:
        """Remove the publishers."""
        for publisher in (
            self._detections,
            self._label_info,
            self._overlay,
            self._camera_info,
            self._fusion,
            self._stage_times,
        ):
            self._node.destroy_lifecycle_publisher(publisher)

    @property
    def overlay_heard(self) -> bool:
        """True while somebody subscribes to the overlay or its camera info."""
        return _heard(self._overlay) or _heard(self._camera_info)

    def publish_labels(self, class_names: Sequence[str], threshold: float) -> None:
        """Tell what the class ids mean; late subscribers get it too."""
        now_ns = self._node.get_clock().now().nanoseconds
        self._label_info.publish(to_label_info(class_names, threshold, stamp_ns=now_ns))

    def publish_detections(self, detections: Detections) -> None:
        """Publish boxes, also when there are none."""
        self._detections.publish(self._encode(detections))

    def publish_overlay(
        self, frame: Frame, detections: Detections, camera_info: CameraInfo | None
    ) -> None:
        """Publish the picture with boxes, and the camera info that belongs to it."""
        if not self.overlay_heard:
            return
        stamp_ns, frame_id = frame.stamp_ns, frame.frame_id
        if camera_info is not None and (camera_info.height, camera_info.width) == frame.size:
            camera_info.header = to_header(stamp_ns, frame_id)
            self._camera_info.publish(camera_info)
        if _heard(self._overlay):
            picture = draw_overlay(frame.image, detections)
            self._overlay.publish(to_image(picture, 'bgr8', stamp_ns=stamp_ns, frame_id=frame_id))

    def publish_fusion(self, weights: FusionWeights | None, frame: Frame) -> None:
        """Publish the scale weights of a model that has them."""
        if weights is not None and _heard(self._fusion):
            self._fusion.publish(
                to_classification(weights, stamp_ns=frame.stamp_ns, frame_id=frame.frame_id)
            )

    def publish_stage_times(self, stages_s: Mapping[str, float], frame: Frame) -> None:
        """Publish what each stage of one frame took, milliseconds by name."""
        if _heard(self._stage_times):
            values = {name: duration_s * 1e3 for name, duration_s in stages_s.items()}
            self._stage_times.publish(
                to_named_values(values, stamp_ns=frame.stamp_ns, frame_id=frame.frame_id)
            )


def make_publisher(node: ManagedNode[Any], message: type[Any], topic: str, qos: QoSProfile) -> Any:
    """Create a publisher whose QoS can be overridden and that names who cannot hear it."""
    resolved = node.resolve_topic_name(topic)

    def on_incompatible(event: Any) -> None:
        subscribers = node.get_subscriptions_info_by_topic(resolved)
        node.throttled.warning(
            f'incompatible_qos {resolved}',
            incompatible_subscriber_text(resolved, qos, subscribers, event.last_policy_kind),
        )

    return node.create_lifecycle_publisher(
        message,
        topic,
        qos,
        event_callbacks=PublisherEventCallbacks(incompatible_qos=on_incompatible),
        qos_overriding_options=overridable(),
    )


def _heard(publisher: Any) -> bool:
    return bool(publisher.get_subscription_count())
