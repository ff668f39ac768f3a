"""Makes the next few of a numbered series in a thread, so that one is there when it is wanted."""

from __future__ import annotations

from threading import Lock
from typing import Generic, TYPE_CHECKING, TypeVar

from thermal_perception.nodes.base.worker import Worker
from thermal_perception.synchronise import NewestSlot

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar('T')

# Pictures are taken ahead of their time, so that their stamps are those of the moment they are
# sent; a second one waits in case the next takes longer.
_AHEAD = 2
_STOP_TIMEOUT_S = 10.0


class Ahead(Generic[T]):
    """Makes things number 0, 1, ... until it is closed.

    Attributes:
        taken: how many were taken, or could not be made.
    """

    def __init__(
        self, make: Callable[[int], T], on_failure: Callable[[int, Exception], bool]
    ) -> None:
        """Start.

        Args:
            make: makes a thing; called in the thread.
            on_failure: gets what `make` raises, there too; tells whether to go on.
        """
        self.taken = -_AHEAD
        self._lock = Lock()
        self._make, self._on_failure = make, on_failure
        self._requests: NewestSlot[int] = NewestSlot('all')
        self._made: NewestSlot[T] = NewestSlot('all')
        self._worker = Worker(self._requests, self._work, self._fail, name='renderer')
        self._worker.start()
        for _ in range(_AHEAD):
            self._request()

    def take(self) -> T | None:
        """Return the next one, None if it is not ready."""
        made = self._made.take(timeout_s=0)
        if made is not None:
            self._request()
        return made

    def close(self) -> None:
        """Finish the one in hand, and end the thread."""
        self._worker.stop(_STOP_TIMEOUT_S)

    def _request(self) -> None:
        with self._lock:
            self._requests.put(self.taken + _AHEAD)
            self.taken += 1

    def _work(self, number: int) -> None:
        self._made.put(self._make(number))

    def _fail(self, number: int, error: Exception) -> None:
        if self._on_failure(number, error):
            self._request()
