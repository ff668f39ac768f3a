"""Service `~/reload_model`: another model in place of the one that runs, without a pause."""

from __future__ import annotations

import threading
from typing import Any, Generic, NamedTuple, TYPE_CHECKING, TypeVar

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.task import Future
from std_srvs.srv import Trigger

from thermal_perception.nodes.base.diagnostics import Finding, Level

if TYPE_CHECKING:
    from collections.abc import Callable

    from thermal_perception.nodes.base.managed import ManagedNode

M = TypeVar('M')


class ModelHooks(NamedTuple, Generic[M]):
    """What a node does to change its model.

    Attributes:
        running: tells whether there is one to change.
        load: loads another; in a thread of its own.
        exchange: puts it in place of the old one and returns a sentence about both.
    """

    running: Callable[[], bool]
    load: Callable[[], M]
    exchange: Callable[[M], str]


class ModelReload(Generic[M]):
    """Loads a model beside the one that runs, and swaps them if that went well."""

    def __init__(self, node: ManagedNode[Any], hooks: ModelHooks[M]) -> None:
        """Offer the service."""
        self._node, self._hooks = node, hooks
        self._loading = False
        self._failure = ''
        self._lives = 0  # of the node: what was loaded in another one is of no use
        # A group of its own: others must run while the callback waits for its thread.
        self._service = node.create_service(
            Trigger, '~/reload_model', self._on_call, callback_group=ReentrantCallbackGroup()
        )

    @property
    def findings(self) -> list[Finding]:
        """Return what diagnostics must tell: why the last try has failed."""
        return [Finding(Level.ERROR, self._failure)] if self._failure else []

    def forget(self) -> None:
        """Forget a failure, and what is being loaded: the node gives its model back."""
        self._failure = ''
        self._lives += 1

    async def _on_call(self, request: Trigger.Request, response: Trigger.Response) -> Any:
        del request
        if self._loading or not self._hooks.running():
            response.message = (
                'a model is being loaded already' if self._loading else 'not configured'
            )
            return response
        self._loading, life = True, self._lives
        loaded: Future[Any] = Future()
        loaded.add_done_callback(self._wake)
        threading.Thread(target=self._load, args=(loaded,), daemon=True).start()
        outcome: Any = await loaded  # images and diagnostics go on meanwhile
        self._loading = False
        if life != self._lives:
            response.message = 'the node was cleaned up meanwhile'
            return response
        return self._exchange(outcome, response)

    def _load(self, loaded: Future[Any]) -> None:
        try:
            loaded.set_result(self._hooks.load())
        except Exception as error:
            loaded.set_result(error)

    def _wake(self, loaded: Future[Any]) -> None:
        if self._node.executor is not None:
            self._node.executor.wake()

    def _exchange(self, loaded: M | Exception, response: Trigger.Response) -> Trigger.Response:
        """Put a loaded model in place of the old one, which stays if loading has failed."""
        if isinstance(loaded, Exception):
            response.message = f'{loaded}; the old model stays'
            self._failure = f'reload failed: {response.message}'
            self._node.get_logger().error(self._failure)
        else:
            response.message = self._hooks.exchange(loaded)
            response.success = True
            self._failure = ''
        return response
