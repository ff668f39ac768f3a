"""The benchmark's own ROS node: says whose turn it is, and notes when answers arrive."""

from __future__ import annotations

from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field
import time
from typing import Any, TYPE_CHECKING

from thermal_perception.cli.benchmark.publisher import TURN
from thermal_perception.cli.node_kinds import DETECTIONS
from thermal_perception.cli.ros import executor_of, message, qos, ros_node
from thermal_perception.decode import stamp_ns_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from rclpy.executors import Executor
    from rclpy.node import Node

_LOOK_AGAIN_S = 0.5


@dataclass
class Arrivals:
    """Messages of one topic in the order of arrival.

    Attributes:
        arrived_ns: when each came, nanoseconds since the epoch.
        stamps_ns: the stamp of each.
        stages_ms: of answers: milliseconds of each by stage, if the node publishes them.
    """

    arrived_ns: list[int] = field(default_factory=list)
    stamps_ns: list[int] = field(default_factory=list)
    stages_ms: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def __len__(self) -> int:
        """Return the number of messages."""
        return len(self.arrived_ns)

    @property
    def ages_ms(self) -> list[float]:
        """Milliseconds from the stamp to the arrival of each."""
        return [(a - s) * 1e-6 for a, s in zip(self.arrived_ns, self.stamps_ns)]

    @property
    def rate_hz(self) -> float:
        """Messages per second."""
        if len(self) < 2 or self.arrived_ns[-1] == self.arrived_ns[0]:
            return 0.0
        return (len(self) - 1) * 1e9 / (self.arrived_ns[-1] - self.arrived_ns[0])

    def part(self, first: int, end: int | None = None) -> Arrivals:
        """Return the messages from number `first` on, up to number `end`."""
        stages = {name: values[first:end] for name, values in self.stages_ms.items()}
        return Arrivals(self.arrived_ns[first:end], self.stamps_ns[first:end], stages)

    def clear(self) -> None:
        """Forget all."""
        self.arrived_ns.clear()
        self.stamps_ns.clear()
        self.stages_ms.clear()

    def note(self, received: Any) -> None:
        """Add a message that came just now."""
        self.arrived_ns.append(time.time_ns())
        self.stamps_ns.append(stamp_ns_of(received.header))

    def note_stages(self, times: Any) -> None:
        """Add the stage times of an answer, vision_msgs/Classification."""
        for result in times.results:
            self.stages_ms[result.class_id].append(result.score)


@contextmanager
def benchmark_listener() -> Iterator[BenchmarkListener]:
    """Join the graph while the context lasts."""
    with ros_node('benchmark_listener') as node:
        executor = executor_of(node)
        yield BenchmarkListener(node, executor)
        executor.shutdown(timeout_sec=2.0)


class BenchmarkListener:
    """Receives while it waits for something; all calls from one thread."""

    def __init__(self, node: Node, executor: Executor) -> None:
        self._node, self._executor = node, executor
        self._turns = node.create_publisher(
            message('std_msgs/msg/String'), TURN, qos(100, reliable=True)
        )
        self._statuses: dict[str, dict[str, dict[str, str]]] = defaultdict(dict)
        node.create_subscription(
            message('diagnostic_msgs/msg/DiagnosticArray'),
            '/diagnostics',
            self._note_statuses,
            qos(100, reliable=True),
        )

    @property
    def camera_listens(self) -> bool:
        """True once a camera can be told whose turn it is."""
        return bool(self._turns.get_subscription_count())

    def hears(self, name: str) -> bool:
        """Tell whether a node has subscribed to its images."""
        return bool(self._node.count_subscribers(f'/{name}/thermal/image_raw'))

    def give_turn(self, name: str, rate_hz: float = 0.0) -> None:
        """Let the camera publish for this node; see `TURN`."""
        self._turns.publish(message('std_msgs/msg/String')(data=f'{name} {rate_hz}'))

    def diagnostics_of(
        self, name: str, limit_s: float, watch: Callable[[], None]
    ) -> Mapping[str, Mapping[str, str]]:
        """Wait for the next diagnostics of a node; values by name of the status.

        It returns what came, or nothing, after `limit_s`; see `wait_until` for `watch`.
        """
        self._statuses[name].clear()
        self.wait_until(lambda: bool(self._statuses[name]), limit_s, watch)
        return dict(self._statuses[name])

    def _note_statuses(self, diagnostics: Any) -> None:
        for status in diagnostics.status:
            node, _, about = status.name.partition(': ')
            self._statuses[node][about] = {value.key: value.value for value in status.values}

    @contextmanager
    def answers_of(self, node: str, answer: tuple[str, str] = DETECTIONS) -> Iterator[Arrivals]:
        """Note the answers of a node and its stage times while the context lasts.

        Args:
            node: its name.
            answer: topic of the answers below it, and their type.
        """
        arrivals, (topic, msgtype) = Arrivals(), answer
        topics = {
            f'/{node}/{topic}': (msgtype, arrivals.note),
            f'/{node}/stage_times': ('vision_msgs/msg/Classification', arrivals.note_stages),
        }
        subscriptions = [
            self._node.create_subscription(
                message(msgtype), topic, callback, qos(100, reliable=True)
            )
            for topic, (msgtype, callback) in topics.items()
        ]
        yield arrivals
        for subscription in subscriptions:
            self._node.destroy_subscription(subscription)

    @contextmanager
    def images_for(self, name: str) -> Iterator[Arrivals]:
        """Note the images that come for a node, received as a node would."""
        arrivals = Arrivals()
        subscription = self._node.create_subscription(
            message('sensor_msgs/msg/Image'),
            f'/{name}/thermal/image_raw',
            arrivals.note,
            qos(5, reliable=False),
        )
        yield arrivals
        self._node.destroy_subscription(subscription)

    def wait_for(
        self, arrivals: Arrivals, count: int, limit_s: float, watch: Callable[[], None]
    ) -> bool:
        """Receive until `count` messages have arrived; see `wait_until`."""
        return self.wait_until(lambda: len(arrivals) >= count, limit_s, watch)

    def wait_until(
        self, enough: Callable[[], bool], limit_s: float, watch: Callable[[], None]
    ) -> bool:
        """Receive until there is enough; False if the time is over first.

        Args:
            enough: tells whether there is.
            limit_s: seconds.
            watch: called now and then; raises to give up.
        """
        deadline = time.monotonic() + limit_s
        while not enough():
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return False
            self._executor.spin_once(timeout_sec=min(left_s, _LOOK_AGAIN_S))
            watch()
        return True
