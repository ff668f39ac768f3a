"""Publishers that name who cannot hear them."""

from __future__ import annotations

from typing import Any, TYPE_CHECKING

from rclpy.event_handler import PublisherEventCallbacks

from thermal_perception.nodes.base.qos import incompatible_subscriber_text, overridable

if TYPE_CHECKING:
    from rclpy.qos import QoSProfile

    from thermal_perception.nodes.base.managed import ManagedNode


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


def heard(publisher: Any) -> bool:
    """Tell whether somebody subscribes."""
    return bool(publisher.get_subscription_count())
