"""A subscription as the first filter of a chain."""

from __future__ import annotations

from typing import Any, TYPE_CHECKING

from message_filters.simple_filter import SimpleFilter

if TYPE_CHECKING:
    from rclpy.node import Node

_DEFAULT_DEPTH = 10


class Subscriber(SimpleFilter):
    """Outputs every message of one topic.

    Takes the arguments of `rclpy.node.Node.create_subscription` but the callback, after the node;
    the quality of service is a depth of 10 unless `qos_profile` says otherwise. What the
    subscription offers (`topic_name`, `destroy`, ...) can be had from the filter as well.
    """

    def __init__(self, node: Node, msg_type: type, topic: str, **kwargs: Any) -> None:
        super().__init__()
        self.node = node
        self.topic = topic
        kwargs.setdefault('qos_profile', _DEFAULT_DEPTH)
        self.sub = node.create_subscription(msg_type, topic, self.callback, **kwargs)

    def callback(self, msg: Any) -> None:
        """Pass on one message; the executor calls this."""
        self.signalMessage(msg)

    def getTopic(self) -> str:
        """Return the topic as it was given, before remapping."""
        return self.topic

    def __getattr__(self, key: str) -> Any:
        if key == 'sub':  # not made yet: without this, looking for it would never end
            raise AttributeError(key)
        return getattr(self.sub, key)
