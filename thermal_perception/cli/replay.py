"""`thermal-perception replay`: publish a recorded bag, as `ros2 bag play` does."""

from __future__ import annotations

from dataclasses import dataclass
import os
import time
from typing import Any, Literal, TYPE_CHECKING

from thermal_perception.cli import console
from thermal_perception.cli.pacer import Pacer
from thermal_perception.cli.processes import die_with_parent
from thermal_perception.cli.ros import (
    find_message,
    message,
    qos,
    ros_node,
    use_dds_profile,
    wait_until_acknowledged,
)
from thermal_perception.errors import ConfigError, DatasetError
from thermal_perception.evaluation.bag import open_bag

if TYPE_CHECKING:
    from pathlib import Path

    from rclpy.node import Node
    from rclpy.publisher import Publisher
    from rclpy.qos import QoSProfile
    from rosbags.highlevel import AnyReader
    from rosbags.interfaces import Connection

_ACKNOWLEDGE_S = 5.0
_SETTLE_S = 1.0
"""The subscriber learns of us after we learn of it: without this pause, 0.4 s were lost."""


@dataclass(frozen=True)
class ReplayOptions:
    """What `replay` was asked for; the fields are its options.

    Attributes:
        rate: bag seconds per second.
        start_offset_s: seconds of the bag to skip.
        topics: topics to publish, all if empty.
        remaps: `old:=new` names.
        clock_hz: rate of `/clock` in wall time, 0 for none.
        qos: `bag` offers what was recorded, the others force that reliability.
        depth: messages kept for late subscribers and retransmission.
        wait_s: longest wait for a subscriber of every topic before the first message.
        ros_arguments: passed on to rclpy.
    """

    bag: Path
    rate: float = 1.0
    loop: bool = False
    start_offset_s: float = 0.0
    topics: tuple[str, ...] = ()
    remaps: tuple[str, ...] = ()
    clock_hz: float = 100.0
    qos: Literal['bag', 'reliable', 'best_effort'] = 'bag'
    depth: int = 100
    wait_s: float = 3.0
    ros_arguments: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse values that cannot work."""
        if self.rate <= 0:
            raise ConfigError(f'--rate {self.rate}: expected more than 0')
        if self.start_offset_s < 0 or self.clock_hz < 0 or self.wait_s < 0:
            raise ConfigError('--start-offset, --clock-hz and --wait: expected 0 or more')
        if self.depth < 1:
            raise ConfigError(f'--depth {self.depth}: expected 1 or more')
        for remap in self.remaps:
            if not all(remap.partition(':=')):
                raise ConfigError(f'--remap {remap}: expected OLD:=NEW')


@dataclass(frozen=True)
class ReplaySummary:
    """What was published: number of messages, and how late the latest was, seconds."""

    messages: int
    worst_lag_s: float


def replay(options: ReplayOptions) -> ReplaySummary:
    """Publish the bag until its end, or with `loop` until interrupted.

    Raises:
        DatasetError: if the bag cannot be read or lacks a topic.
        ConfigError: if a message type that was asked for is not installed.
    """
    die_with_parent()
    use_dds_profile(os.environ)
    with (
        open_bag(options.bag) as reader,
        ros_node('thermal_perception_replay', _arguments(options)) as node,
    ):
        player = _Player(reader, node, options)
        player.wait_for_subscribers()
        try:
            player.play()
            while options.loop:
                player.play()
        except KeyboardInterrupt:
            if not options.loop:
                raise
        player.finish()
        return ReplaySummary(player.published, player.worst_lag_s)


def _arguments(options: ReplayOptions) -> list[str]:
    remaps = [part for remap in options.remaps for part in ('-r', remap)]
    return [*(options.ros_arguments or ['--ros-args']), *remaps]


class _Player:
    """Publishes the messages of an open bag through one node."""

    def __init__(self, reader: AnyReader, node: Node, options: ReplayOptions) -> None:
        self._reader, self._node, self._options = reader, node, options
        self.published, self.worst_lag_s = 0, 0.0
        if not reader.is2:
            raise DatasetError(f'{options.bag}: found a ROS 1 bag, expected one of ROS 2')
        self._publishers = self._make_publishers()
        if not self._publishers:
            raise DatasetError(f'{options.bag}: found no topic that can be published')
        self._time = message('rosgraph_msgs/msg/Clock')()
        self._clock = (
            node.create_publisher(type(self._time), '/clock', 10) if options.clock_hz else None
        )

    def wait_for_subscribers(self) -> None:
        """Give discovery time, so that the first messages are not lost."""
        deadline = time.monotonic() + self._options.wait_s
        waiting = list(self._publishers.values())
        while waiting and time.monotonic() < deadline:
            waiting = [p for p in waiting if not p.get_subscription_count()]
            time.sleep(0.01)
        if self._options.wait_s:
            time.sleep(_SETTLE_S)

    def play(self) -> None:
        """Publish all messages once, each at its time."""
        start_ns = self._reader.start_time + round(self._options.start_offset_s * 1e9)
        if start_ns >= self._reader.end_time:
            length_s = self._reader.duration * 1e-9
            raise ConfigError(
                f'--start-offset {self._options.start_offset_s}: the bag is {length_s:.1f} s long'
            )
        tick_s = 1 / self._options.clock_hz if self._clock else 0.0
        pacer = Pacer(start_ns, self._options.rate, tick_s, self._publish_clock)
        connections = [c for c in self._reader.connections if c.topic in self._publishers]
        with console.progress_bar('replaying', sum(c.msgcount for c in connections)) as progress:
            for connection, bag_ns, raw in self._reader.messages(connections, start=start_ns):
                pacer.wait_until(bag_ns)
                self._publishers[connection.topic].publish(bytes(raw))
                self.published += 1
                progress.advance(progress.task_ids[0])
        self.worst_lag_s = max(self.worst_lag_s, pacer.worst_lag_s)

    def finish(self) -> None:
        """Wait until reliable subscribers have everything."""
        for publisher in self._publishers.values():
            wait_until_acknowledged(publisher, _ACKNOWLEDGE_S)

    def _make_publishers(self) -> dict[str, Publisher[Any]]:
        known = {c.topic: c for c in self._reader.connections}
        missing = [topic for topic in self._options.topics if topic not in known]
        if missing:
            raise DatasetError(
                f'{self._options.bag}: has no topic {missing[0]}; it has {", ".join(known)}'
            )
        wanted = self._options.topics or tuple(t for t in known if t != '/clock')
        return {t: p for t in wanted if (p := self._make_publisher(known[t])) is not None}

    def _make_publisher(self, connection: Connection) -> Publisher[Any] | None:
        message_type = find_message(connection.msgtype)
        if message_type is None:
            sentence = f'{connection.topic}: the package of {connection.msgtype} is not installed'
            if connection.topic in self._options.topics:
                raise ConfigError(sentence)
            console.err.print(f'{sentence}, topic left out', style='yellow')
            return None
        return self._node.create_publisher(
            message_type, connection.topic, _recorded_qos(connection, self._options)
        )

    def _publish_clock(self, bag_ns: int) -> None:
        assert self._clock is not None
        self._time.clock.sec, self._time.clock.nanosec = divmod(bag_ns, 1_000_000_000)
        self._clock.publish(self._time)


def _recorded_qos(connection: Connection, options: ReplayOptions) -> QoSProfile:
    """Return what the recorded publisher offered, the weakest if there were several."""
    recorded = getattr(connection.ext, 'offered_qos_profiles', [])
    reliable = all(q.reliability.name == 'RELIABLE' for q in recorded)
    latched = bool(recorded) and all(q.durability.name == 'TRANSIENT_LOCAL' for q in recorded)
    if options.qos != 'bag':
        reliable = options.qos == 'reliable'
    return qos(options.depth, reliable=reliable, latched=latched)
