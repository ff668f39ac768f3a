"""One camera topic: subscription, stamp checks, and what diagnostics want to know of it."""

from __future__ import annotations

from dataclasses import dataclass
import os
import time
from typing import Any, Literal, TYPE_CHECKING

from message_filters import Subscriber
from rclpy.event_handler import SubscriptionEventCallbacks, UnsupportedEventTypeError
from sensor_msgs.msg import CompressedImage, Image

from thermal_perception.decode import read_compressed_image, read_image, stamp_ns_of
from thermal_perception.errors import DecodeError
from thermal_perception.nodes.base.dds import large_image_profile, profile_variable
from thermal_perception.nodes.base.own_thread import OwnThread
from thermal_perception.nodes.base.qos import (
    incompatible_publisher_text,
    incompatible_publishers,
    input_qos,
    overridable,
)
from thermal_perception.nodes.base.statistics import EventCounter, RateMeter
from thermal_perception.synchronise import StampGuard

if TYPE_CHECKING:
    from collections.abc import Callable

    from rclpy.node import Node

    from thermal_perception.nodes.base.logs import RepeatingLog

Transport = Literal['raw', 'compressed']

# Above this part of the images lost on the way, the transport needs attention.
_LOSS_TO_REPORT = 0.1
# Before so many messages nothing can be said; a few are lost while nodes find each other.
_MESSAGES_TO_JUDGE = 10
_STAMP_REASONS = {
    'zero_stamp': 'the stamp is zero: the driver does not set it',
    'future': 'the stamp is in the future: are the clocks of camera and computer synchronised?',
    'duplicate': 'the stamp equals that of the image before',
    'out_of_order': 'the stamp is before that of an image received earlier',
}


@dataclass(frozen=True, eq=False)
class Arrival:
    """An image message as it came in.

    Attributes:
        message: what `decode_image` or `decode_compressed` takes.
        stamp_ns: its stamp, nanoseconds.
        arrived_s: `time.perf_counter()` when its callback began.
    """

    message: Any
    stamp_ns: int
    arrived_s: float


@dataclass(frozen=True)
class StampLimits:
    """What stamps are acceptable; see `StampGuard`."""

    max_future_s: float = 1.0
    jump_back_s: float = 1.0


class CameraInput:
    """Receives the images of one camera and hands on those with a sane stamp.

    Nothing is decoded here: the callback returns at once; it runs in a thread of its own.
    Everything that is not handed on is counted under its cause in `drops`.
    """

    def __init__(
        self,
        node: Node,
        topic: str,
        *,
        transport: Transport,
        limits: StampLimits,
        on_arrival: Callable[[Arrival], None],
        on_restart: Callable[[], None],
        throttled: RepeatingLog,
        report: Callable[[], int],
    ) -> None:
        """Prepare the input; `open` subscribes.

        Args:
            node: owner of the subscription.
            topic: relative name of the raw image topic; remapping applies to it.
            transport: `compressed` subscribes to the resolved topic + `/compressed`.
            limits: what stamps are acceptable.
            on_arrival: takes each good message, in the input's thread; must not block.
            on_restart: called when stamps jump back, before `on_arrival`, in the same thread.
            throttled: for warnings that repeat.
            report: gives the number of the next report, see `EventCounter`.
        """
        base = node.resolve_topic_name(topic)
        self.topic = base if transport == 'raw' else f'{base}/compressed'
        self.drops = EventCounter(report)
        self.rate = RateMeter()
        self._type = Image if transport == 'raw' else CompressedImage
        self._read: Any = read_image if transport == 'raw' else read_compressed_image
        self._node = node
        self._guard = StampGuard(max_future_s=limits.max_future_s, jump_back_s=limits.jump_back_s)
        self._on_arrival = on_arrival
        self._on_restart = on_restart
        self._throttled = throttled
        self._received = EventCounter(report)
        self._qos = input_qos()
        self._thread = OwnThread(node, 'camera')
        self._subscriber: Any = None

    def open(self) -> None:
        """Subscribe."""
        self.rate = RateMeter()
        self._guard.reset()
        try:
            self._subscriber = self._subscribe(message_lost=self._on_lost)
        except UnsupportedEventTypeError:  # not every middleware can tell
            self._subscriber = self._subscribe()
        self._subscriber.registerCallback(self._on_message)
        self._thread.start()

    def close(self) -> None:
        """Unsubscribe."""
        self._thread.stop()
        if self._subscriber is not None:
            self._node.destroy_subscription(self._subscriber.sub)
            self._subscriber = None

    def reset(self) -> None:
        """Forget the stamps seen, after the clock has jumped."""
        self._guard.reset()

    @property
    def received(self) -> int:
        """Messages that reached the callback."""
        return self._received.total('received')

    @property
    def lost(self) -> int:
        """Messages that the transport lost before they reached us, where it can tell."""
        return self._received.total('lost')

    @property
    def restarts(self) -> int:
        """How often the stamps jumped back lately."""
        return self._received.recent['restart']

    @property
    def loss(self) -> float:
        """Part of the recent messages that the transport lost, 0..1; 0 while there are few."""
        recent = self._received.recent
        everything = recent['lost'] + recent['received']
        return recent['lost'] / everything if everything >= _MESSAGES_TO_JUDGE else 0.0

    @property
    def loss_text(self) -> str:
        """What to do about lost images; empty while few are lost."""
        loss = self.loss
        if loss < _LOSS_TO_REPORT:
            return ''
        return f'{self.topic}: the transport loses {loss:.0%} of the images. {_profile_hint()}'

    @property
    def silence_text(self) -> str:
        """What is known about the lack of images."""
        text = f'no image on {self.topic} for {self.rate.silent_s:.1f} s'
        publishers = self.publishers
        if not publishers:
            return f'{text}: no publisher'
        infos = self._node.get_publishers_info_by_topic(self.topic)
        if incompatible := incompatible_publishers(self._qos, infos):
            return f'{text}: {"; ".join(incompatible)}'
        if self.rate.seen:
            return f'{text}: {publishers} publisher(s)'
        return f'{text}: {publishers} publisher(s), but nothing arrives. {_profile_hint()}'

    @property
    def publishers(self) -> int:
        """How many publishers the topic has."""
        return int(self._node.count_publishers(self.topic))

    def _subscribe(self, **events: Any) -> Any:
        callbacks = SubscriptionEventCallbacks(
            incompatible_qos=self._on_incompatible_qos, **events
        )
        return Subscriber(
            self._node,
            self._type,
            self.topic,
            qos_profile=self._qos,
            callback_group=self._thread.group,
            raw=True,
            event_callbacks=callbacks,
            qos_overriding_options=overridable(),
        )

    def _on_message(self, serialized: bytes) -> None:
        arrived_s = time.perf_counter()
        self.rate.tick()
        self._received.add('received')
        try:
            message = self._read(serialized)
        except DecodeError as error:
            self.drops.add(error.cause)
            self._throttled.error(error.cause, f'{self.topic}: {error}')
            return
        stamp_ns = stamp_ns_of(message.header)
        verdict = self._guard.check(stamp_ns, self._node.get_clock().now().nanoseconds)
        if verdict == 'jump_back':
            self._on_restart()
            self._received.add('restart')
            self._throttled.warning(verdict, f'{self.topic}: stamps jumped back, starting over')
        elif verdict != 'ok':
            self.drops.add(verdict)
            self._throttled.warning(verdict, f'{self.topic}: dropped, {_STAMP_REASONS[verdict]}')
            return
        self._on_arrival(Arrival(message, stamp_ns, arrived_s))

    def _on_lost(self, event: Any) -> None:
        self._received.add('lost', event.total_count_change)
        if text := self.loss_text:
            self._throttled.warning('lost', text)

    def _on_incompatible_qos(self, event: Any) -> None:
        publishers = self._node.get_publishers_info_by_topic(self.topic)
        text = incompatible_publisher_text(
            self.topic, self._qos, publishers, event.last_policy_kind
        )
        self._throttled.warning('incompatible_qos', text)


def _profile_hint() -> str:
    return (
        'If it uses Fast DDS on this machine, start the publisher with '
        f'{profile_variable(os.environ)}={large_image_profile()}'
    )
