"""The camera_info of one camera, subscribed while somebody needs it."""

from __future__ import annotations

from typing import Any, TYPE_CHECKING

from rclpy.event_handler import SubscriptionEventCallbacks
from sensor_msgs.msg import CameraInfo

from thermal_perception.nodes.base.qos import incompatible_publisher_text, input_qos, overridable

if TYPE_CHECKING:
    from thermal_perception.nodes.base.managed import ManagedNode


class CameraInfoInput:
    """Keeps the latest camera_info.

    Drivers send one beside every image, and waking up for each costs the node as much as the
    images do: it is only subscribed while `follow` was last told so.

    Attributes:
        latest: the last message; None before it came.
    """

    def __init__(self, node: ManagedNode[Any], topic: str) -> None:
        """Prepare the input; nothing is subscribed yet.

        Args:
            node: owner of the subscription.
            topic: relative name; remapping applies to it.
        """
        self.latest: CameraInfo | None = None
        self._node = node
        self._name, self._topic = topic, node.resolve_topic_name(topic)
        self._qos = input_qos(1)
        self._subscription: Any = None

    def follow(self, wanted: bool) -> None:
        """Subscribe if it is wanted, else unsubscribe and forget; cheap when nothing changes."""
        if wanted and self._subscription is None:
            self._subscription = self._node.create_subscription(
                CameraInfo,
                self._name,
                self._on_message,
                self._qos,
                event_callbacks=SubscriptionEventCallbacks(incompatible_qos=self._on_incompatible),
                qos_overriding_options=overridable(),
            )
        elif not wanted and self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = self.latest = None

    def _on_message(self, message: CameraInfo) -> None:
        self.latest = message

    def _on_incompatible(self, event: Any) -> None:
        publishers = self._node.get_publishers_info_by_topic(self._topic)
        self._node.throttled.warning(
            f'incompatible_qos {self._topic}',
            incompatible_publisher_text(
                self._topic, self._qos, publishers, event.last_policy_kind
            ),
        )
