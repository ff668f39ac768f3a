"""Hands things over at their time, from a thread of its own. No ROS."""

from __future__ import annotations

import heapq
from itertools import count
import threading
import time
from typing import Generic, TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar('T')


class Deliveries(Generic[T]):
    """Keeps things until they are due."""

    now_s = staticmethod(time.monotonic)
    """The clock of all times."""

    def __init__(
        self,
        deliver: Callable[[T, float], None],
        on_failure: Callable[[T, Exception], None],
    ) -> None:
        """Start.

        Args:
            deliver: gets each thing and the time, in the order in which they are due.
            on_failure: gets what could not be delivered; the others go on.
        """
        self._deliver, self._on_failure = deliver, on_failure
        self._due: list[tuple[float, int, T]] = []
        self._number = count()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name='deliveries', daemon=True)
        self._thread.start()

    def put(self, item: T, due_s: float) -> None:
        """Keep a thing; of two that are due at the same time the first goes first."""
        with self._changed:
            heapq.heappush(self._due, (due_s, next(self._number), item))
            self._changed.notify()

    def close(self) -> int:
        """Deliver nothing more; return how many things were left."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()
        return len(self._due)

    def _run(self) -> None:
        while (due := self._next()) is not None:
            try:
                self._deliver(*due)
            except Exception as error:
                self._on_failure(due[0], error)

    def _next(self) -> tuple[T, float] | None:
        """Wait for the next thing that is due; None once closed."""
        with self._changed:
            while not self._closed:
                now_s = self.now_s()
                if self._due and self._due[0][0] <= now_s:
                    return heapq.heappop(self._due)[2], now_s
                self._changed.wait(self._due[0][0] - now_s if self._due else None)
        return None
