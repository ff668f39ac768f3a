"""The base of all filters: a list of callbacks and a way to call them."""

from __future__ import annotations

from collections.abc import Callable
import itertools
from typing import Any


class SimpleFilter:
    """A source of messages; `callbacks` is (callback, its extra arguments) by connection."""

    def __init__(self) -> None:
        self.callbacks: dict[int, tuple[Callable[..., Any], tuple[Any, ...]]] = {}
        self._connections = itertools.count()

    def registerCallback(self, cb: Callable[..., Any], *args: Any) -> int:
        """Have `cb(*messages, *args)` called for every output; return the connection's number."""
        connection = next(self._connections)
        self.callbacks[connection] = (cb, args)
        return connection

    def signalMessage(self, *msg: Any) -> None:
        """Hand one output to every callback, in the order in which they were registered."""
        for callback, args in list(self.callbacks.values()):  # a callback may register another
            callback(*msg, *args)
