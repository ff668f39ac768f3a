"""The demo's own ROS node: it listens to what the cameras and the node publish."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from threading import Lock, Thread
import time
from typing import Any, TYPE_CHECKING

import numpy as np

from thermal_perception.cli.ros import executor_of, message, parameter_setter, qos, ros_node

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from numpy.typing import NDArray
    from rclpy.node import Node
    from rclpy.qos import QoSProfile

    from thermal_perception.cli.demo.recorder import PictureRecorder
    from thermal_perception.cli.demo.state import DemoState
    from thermal_perception.cli.node_kinds import NodeKind


class Listener:
    """Feeds a `DemoState` and a recorder from a thread while its context lasts.

    Attributes:
        ask: asks the node that can take something away to change a parameter: name, value.
    """

    ask: Callable[[str, bool], None]

    def __init__(
        self,
        kind: NodeKind,
        state: DemoState[Any],
        recorders: Mapping[str, PictureRecorder],
    ) -> None:
        """Name the node to watch; nothing is received yet.

        Args:
            kind: the node.
            state: takes what it answers.
            recorders: get every image of the node's topics of these names, as `overlay`.
        """
        self._kind, self._state, self._recorders = kind, state, recorders
        self._lock = Lock()
        self._overlay: NDArray[Any] | None = None
        self._error: Exception | None = None

    def __enter__(self) -> Listener:
        """Join the graph and start receiving."""
        with ExitStack() as stack:
            node = stack.enter_context(ros_node('thermal_perception_demo'))
            self._subscribe(node)
            self.ask = parameter_setter(node, self._kind.source)
            self._executor = executor_of(node)
            self._leave = stack.pop_all()
        self._thread = Thread(target=self._spin, name='demo listener', daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the graph and finish the recording."""
        self._executor.shutdown(timeout_sec=2.0)
        self._thread.join()  # it may be writing to a recorder
        self._leave.close()
        for recorder in self._recorders.values():
            recorder.close()

    def look(self, reader: Any) -> Any:
        """Return `reader(state, overlay)`, called while nothing changes.

        Raises:
            Exception: what a callback raised, if one did.
        """
        with self._lock:
            if self._error is not None:
                raise self._error
            return reader(self._state, self._overlay)

    def _subscribe(self, node: Node) -> None:
        own = f'/{self._kind.name}'
        image, diagnostics = 'sensor_msgs/msg/Image', 'diagnostic_msgs/msg/DiagnosticArray'
        every, newest = qos(50, reliable=True), qos(2, reliable=False)
        output, msgtype = self._kind.answer
        pictures: list[tuple[str, str, Callable[[Any], None], QoSProfile]] = [
            (image, f'{own}/{name}', partial(self._on_picture, name), newest)
            for name in self._kind.pictures
        ]
        for kind, topic, callback, quality in (
            (msgtype, f'{own}/{output}', self._on_answer, every),
            (msgtype, f'/ground_truth/{output}', self._on_truth, every),
            (diagnostics, '/diagnostics', self._on_diagnostics, every),
            *pictures,
        ):
            node.create_subscription(message(kind), topic, callback, quality)

    def _spin(self) -> None:
        try:
            self._executor.spin()
        except Exception as error:  # handed to the thread that looks
            with self._lock:
                self._error = error

    def _on_answer(self, message: Any) -> None:
        now_s = time.time()
        answer = self._state.read_answer(message)
        with self._lock:
            self._state.take_answer(answer, now_s)

    def _on_truth(self, message: Any) -> None:
        truth = self._state.read_truth(message)
        with self._lock:
            self._state.take_truth(truth)

    def _on_picture(self, name: str, message: Any) -> None:
        if message.encoding == 'bgr8':
            rows = np.frombuffer(message.data, np.uint8).reshape(message.height, -1)
            picture = rows[:, : 3 * message.width].reshape(message.height, message.width, 3)
            self._recorders[name].write(picture, time.monotonic())
            if name == 'overlay':
                with self._lock:
                    self._overlay = picture

    def _on_diagnostics(self, message: Any) -> None:
        statuses = [s for s in message.status if s.name.startswith(f'{self._kind.name}:')]
        with self._lock:
            self._state.take_report(statuses)
