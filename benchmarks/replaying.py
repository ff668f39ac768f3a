"""A bag replayed through a node in another process, and everything the node answers."""

from __future__ import annotations

import os
import time
from typing import Any, TYPE_CHECKING

from thermal_perception.cli.processes import Children, command_of, node_command
from thermal_perception.cli.ros import executor_of, message, private_environment, qos, ros_node

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PATIENCE_S = 60.0
_FATES = ('processed', 'replaced', 'discarded', 'dropped', 'failed')


class Answers:
    """Everything the node publishes, as it comes.

    Attributes:
        messages: what came on each topic.
        values: newest diagnostics of the node.
        ready: the node has been active.
        last: when the last answer came, seconds of the monotonic clock.
    """

    def __init__(self, topics: Mapping[str, str]) -> None:
        self.messages: dict[str, list[Any]] = {topic: [] for topic in topics}
        self.values: dict[str, str] = {}
        self.ready = False
        self.last = time.monotonic()

    def take(self, topic: str, answer: Any) -> None:
        """Keep one answer."""
        self.messages[topic].append(answer)
        self.last = time.monotonic()

    def report(self, array: Any) -> None:
        """Keep the newest diagnostics."""
        for status in array.status:
            self.values.update({v.key: v.value for v in status.values})
        self.ready = self.ready or self.values.get('state') == 'active'

    @property
    def accounted(self) -> int:
        """Frames that the node answered or counted."""
        fates = (int(text) for key, text in self.values.items() if key.partition(' ')[0] in _FATES)
        return sum(fates)

    def finished(self, frames: int) -> bool:
        """Tell whether the node accounts for every frame and we have every answer."""
        processed = int(self.values.get('processed', 0))
        complete = all(len(answers) >= processed for answers in self.messages.values())
        return complete and self.accounted >= frames


def replay(
    bag: Path,
    node: str,
    parameters: Mapping[str, Any],
    *,
    topics: Mapping[str, str],
    frames: int,
    speed: float,
    logs: Path,
) -> Answers:
    """Run node and replay as processes, and collect until all frames are answered or counted.

    Args:
        bag: what to replay, reliably.
        node: its name, also that of its executable.
        parameters: of the node.
        topics: what to listen to, and its message type.
        frames: that lead, in the bag.
        speed: of the replay, by that of the bag.
        logs: folder for what the processes print.
    """
    environment = private_environment()
    os.environ.update(environment)
    answers = Answers(topics)
    with Children(environment, logs) as children, ros_node('replaying') as listener:
        reliable = qos(1000, reliable=True)
        for topic, kind in topics.items():
            listener.create_subscription(
                message(kind), topic, lambda a, topic=topic: answers.take(topic, a), reliable
            )
        diagnostics = message('diagnostic_msgs/msg/DiagnosticArray')
        listener.create_subscription(diagnostics, '/diagnostics', answers.report, reliable)
        executor = executor_of(listener)
        children.start(node, node_command(node, parameters))
        while not answers.ready:
            executor.spin_once(timeout_sec=0.5)
            children.check()
        arguments = ['--rate', str(speed), '--qos', 'reliable', '--depth', '1000', '--wait', '30']
        children.start('replay', command_of('replay', str(bag), *arguments), finite=True)
        answers.last = time.monotonic()
        while time.monotonic() - answers.last < PATIENCE_S and not answers.finished(frames):
            executor.spin_once(timeout_sec=0.5)
            children.check()
    return answers


def reliably(*cameras: str) -> dict[str, Any]:
    """Return parameters by which a node hears every image of its cameras."""
    prefix = 'qos_overrides./{}/image_raw.subscription.'
    return {
        **{f'{prefix.format(camera)}reliability': 'reliable' for camera in cameras},
        **{f'{prefix.format(camera)}depth': 1000 for camera in cameras},
    }


def stamp_ns(header: Any) -> int:
    """Return a header's stamp in nanoseconds."""
    return int(header.stamp.sec) * 1_000_000_000 + int(header.stamp.nanosec)
