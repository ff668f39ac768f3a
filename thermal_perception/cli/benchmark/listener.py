"""Times of arrival at the far end of DDS: the benchmark's own ROS node."""

from __future__ import annotations

from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
import time
from typing import Any, TYPE_CHECKING

from thermal_perception.cli.ros import executor_of, message, qos, ros_node
from thermal_perception.decode import stamp_ns_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from rclpy.executors import Executor
    from rclpy.node import Node


@dataclass
class Arrivals:
    """Messages of one topic in the order of arrival.

    Attributes:
        arrived_ns: when each came, nanoseconds since the epoch.
        stamps_ns: the stamp of each.
    """

    arrived_ns: list[int] = field(default_factory=list)
    stamps_ns: list[int] = field(default_factory=list)

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


@contextmanager
def benchmark_listener() -> Iterator[BenchmarkListener]:
    """Join the graph while the context lasts."""
    with ros_node('benchmark_listener') as node:
        executor = executor_of(node)
        yield BenchmarkListener(node, executor)
        executor.shutdown(timeout_sec=2.0)


class BenchmarkListener:
    """Receives for as long as it is asked to; all calls from one thread."""

    def __init__(self, node: Node, executor: Executor) -> None:
        self._node, self._executor = node, executor

    def answers(
        self, node: str, frames: int, skip: int, watch: Callable[[], None], limit_s: float
    ) -> tuple[Arrivals, dict[str, list[float]]]:
        """Collect answers of a node, and its stage times if it publishes them.

        Args:
            node: its name.
            frames: answers to collect.
            skip: answers to let pass first.
            watch: called now and then; raises to give up.
            limit_s: seconds after which to return with what there is.

        Returns:
            The answers, and milliseconds per frame by stage.
        """
        arrivals = Arrivals()
        stages: dict[str, list[float]] = defaultdict(list)
        seen = 0

        def on_answer(answer: Any) -> None:
            nonlocal seen
            seen += 1
            if seen > skip:
                _note(arrivals, answer)

        def on_stages(times: Any) -> None:
            if seen > skip:
                for result in times.results:
                    stages[result.class_id].append(result.score)

        topics: Mapping[str, Any] = {
            f'/{node}/detections': ('vision_msgs/msg/Detection2DArray', on_answer),
            f'/{node}/stage_times': ('vision_msgs/msg/Classification', on_stages),
        }
        self._collect(topics, lambda: len(arrivals) >= frames, watch, limit_s)
        return arrivals, dict(stages)

    def images(self, frames: int, watch: Callable[[], None], limit_s: float) -> Arrivals:
        """Collect camera images as a node would get them; arguments as for `answers`."""
        arrivals = Arrivals()
        topics = {'/thermal/image_raw': ('sensor_msgs/msg/Image', partial(_note, arrivals))}
        self._collect(topics, lambda: len(arrivals) >= frames, watch, limit_s, sensor=True)
        return arrivals

    def _collect(
        self,
        topics: Mapping[str, Any],
        enough: Callable[[], bool],
        watch: Callable[[], None],
        limit_s: float,
        *,
        sensor: bool = False,
    ) -> None:
        quality = qos(5, reliable=False) if sensor else qos(100, reliable=True)
        subscriptions = [
            self._node.create_subscription(message(msgtype), topic, callback, quality)
            for topic, (msgtype, callback) in topics.items()
        ]
        deadline = time.monotonic() + limit_s
        while not enough() and time.monotonic() < deadline:
            self._executor.spin_once(timeout_sec=0.1)
            watch()
        for subscription in subscriptions:
            self._node.destroy_subscription(subscription)


def _note(arrivals: Arrivals, received: Any) -> None:
    arrivals.arrived_ns.append(time.time_ns())
    arrivals.stamps_ns.append(stamp_ns_of(received.header))
