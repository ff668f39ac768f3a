"""Quality of service of our topics, and what to say when another node's does not fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rclpy.duration import Infinite
from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    LivelinessPolicy,
    qos_check_compatible,
    qos_policy_name_from_kind,
    QoSCompatibility,
    QoSPolicyKind,
    QoSProfile,
    ReliabilityPolicy,
)
from rclpy.qos_overriding_options import QoSOverridingOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rclpy.topic_endpoint_info import TopicEndpointInfo


def input_qos(depth: int = 5) -> QoSProfile:
    """Best effort: takes what any driver offers and never makes it wait."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST, depth=depth, reliability=ReliabilityPolicy.BEST_EFFORT
    )


def output_qos(depth: int = 10) -> QoSProfile:
    """Reliable: serves subscribers of both kinds."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST, depth=depth, reliability=ReliabilityPolicy.RELIABLE
    )


def latched_qos() -> QoSProfile:
    """Reliable, and late subscribers get the last message."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=1,
        reliability=ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.TRANSIENT_LOCAL,
    )


def overridable() -> QoSOverridingOptions:
    """Let parameters `qos_overrides.TOPIC.subscription.reliability` and so on change a QoS."""
    return QoSOverridingOptions(
        (
            QoSPolicyKind.HISTORY,
            QoSPolicyKind.DEPTH,
            QoSPolicyKind.RELIABILITY,
            QoSPolicyKind.DURABILITY,
        )
    )


def incompatible_publishers(
    ours: QoSProfile, publishers: Sequence[TopicEndpointInfo]
) -> list[str]:
    """Name the publishers of a topic that we cannot hear, each with what differs."""
    subscriber = _with_times(ours)
    return _incompatible(publishers, lambda theirs: (theirs, subscriber))


def incompatible_publisher_text(
    topic: str, ours: QoSProfile, publishers: Sequence[TopicEndpointInfo], policy: QoSPolicyKind
) -> str:
    """Say which publisher of a topic we cannot hear, and what differs."""
    return _text(topic, 'publisher', policy, incompatible_publishers(ours, publishers))


def incompatible_subscriber_text(
    topic: str, ours: QoSProfile, subscribers: Sequence[TopicEndpointInfo], policy: QoSPolicyKind
) -> str:
    """Say which subscriber of a topic cannot hear us, and what differs."""
    publisher = _with_times(ours)
    differences = _incompatible(subscribers, lambda theirs: (publisher, theirs))
    return _text(topic, 'subscriber', policy, differences)


def _incompatible(
    others: Sequence[TopicEndpointInfo],
    pair: Callable[[QoSProfile], tuple[QoSProfile, QoSProfile]],
) -> list[str]:
    """Name those whose `pair` of publisher and subscriber cannot work."""
    return [
        f'{info.node_namespace.rstrip("/")}/{info.node_name}: {reason}'
        for info in others
        for compatible, reason in [qos_check_compatible(*pair(info.qos_profile))]
        if compatible == QoSCompatibility.ERROR
    ]


def _with_times(ours: QoSProfile) -> QoSProfile:
    """Return ours with the times we never set as the graph reports them: infinite.

    rclpy takes times that are not set for shorter ones.
    """
    return QoSProfile(
        depth=1,
        reliability=ours.reliability,
        durability=ours.durability,
        deadline=Infinite,
        liveliness=LivelinessPolicy.AUTOMATIC,
        liveliness_lease_duration=Infinite,
    )


def _text(topic: str, other: str, policy: QoSPolicyKind, differences: Sequence[str]) -> str:
    name = qos_policy_name_from_kind(policy).lower()
    detail = f' ({"; ".join(differences)})' if differences else ''
    return (
        f'{topic}: incompatible QoS, nothing will pass from or to a {other} '
        f'whose {name} differs{detail}'
    )
