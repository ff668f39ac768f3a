"""A thread that serves a few callbacks of a node, apart from its executor."""

from __future__ import annotations

from contextlib import suppress
import threading
import traceback
from typing import Any, TYPE_CHECKING

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.task import Future

if TYPE_CHECKING:
    from rclpy.node import Node

_STOP_TIMEOUT_S = 10.0


class OwnThread:
    """Serves the callbacks of one group in a thread of its own.

    An executor of rclpy asks every service, timer and event of its node before and after each
    callback, about forty of them: a millisecond or more, for every image. This thread asks only
    those of its group.
    """

    def __init__(self, node: Node, name: str) -> None:
        """Prepare the thread; `start` runs it under `name`."""
        self.group = _Group()
        self._node, self._name = node, name
        self._executor: _Executor | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Serve what is in the group now."""
        self._executor = _Executor(self._node, self.group)
        self._thread = threading.Thread(target=self._executor.serve, name=self._name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Let the callback in hand finish, and end the thread."""
        if self._executor is not None and self._thread is not None:
            self._executor.end()
            self._thread.join(_STOP_TIMEOUT_S)
            self._executor.shutdown(timeout_sec=0)
            self._executor = self._thread = None


class _Group(MutuallyExclusiveCallbackGroup):
    """Keeps other executors from its callbacks."""

    thread_id = 0

    def can_execute(self, entity: Any) -> bool:
        """Tell whether the caller may run the callback of the entity now."""
        return threading.get_ident() == self.thread_id and super().can_execute(entity)


class _Part:
    """The entities of one group of a node; to an executor it is the node."""

    def __init__(self, node: Node, group: _Group) -> None:
        for kind in ('subscriptions', 'timers', 'clients', 'services', 'guards', 'waitables'):
            members = [entity for entity in getattr(node, kind) if entity.callback_group is group]
            setattr(self, kind, members)


class _Executor(SingleThreadedExecutor):
    """Serves one group of a node that belongs to another executor."""

    def __init__(self, node: Node, group: _Group) -> None:
        super().__init__(context=node.context)
        self._part, self._group, self._logger = _Part(node, group), group, node.get_logger()
        self._ended: Future[None] = Future()

    def get_nodes(self) -> list[Any]:
        """Return what to serve; it is never added, as a node can belong to one executor only."""
        return [self._part]

    def serve(self) -> None:
        """Run until `end`, or the end of the context; an exception is logged, not fatal."""
        self._group.thread_id = threading.get_ident()
        with suppress(ExternalShutdownException):
            while not self._ended.done() and self._context.ok():
                try:
                    self.spin_until_future_complete(self._ended)
                except ExternalShutdownException:
                    raise
                except Exception:
                    self._logger.error(traceback.format_exc())

    def end(self) -> None:
        """Let `serve` return; for another thread to call."""
        self._ended.set_result(None)
        self.wake()
