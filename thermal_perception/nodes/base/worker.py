"""Threads: one that works on the newest item, and one for a single call."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
import threading
from typing import Generic, TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from thermal_perception.synchronise import NewestSlot

T = TypeVar('T')


def call_in_thread(function: Callable[[], T]) -> T:
    """Call in a thread that has ended when this returns; raises what the function raises.

    OpenMP keeps helpers for every thread that has run a network, as long as that thread lives.
    Helpers beyond the number of cores go to sleep at each of the network's hundreds of barriers
    instead of waiting awake, so only one thread at a time may be left that has run one.
    """
    with ThreadPoolExecutor(1, thread_name_prefix='load') as threads:
        return threads.submit(function).result()


class Worker(Generic[T]):
    """Takes items from a slot and handles them one at a time, so that callbacks return at once.

    An exception of `handle` goes to `on_error` together with its item, and the thread lives on: a
    frame that breaks the code must not silence the robot.
    """

    def __init__(
        self,
        slot: NewestSlot[T],
        handle: Callable[[T], None],
        on_error: Callable[[T, Exception], None],
        *,
        name: str,
    ) -> None:
        """Make a worker; `start` runs its thread under `name`."""
        self._slot = slot
        self._handle = handle
        self._on_error = on_error
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """Close the slot and wait for the item in hand; returns False if it takes too long."""
        self._slot.close()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._slot.closed:
            item = self._slot.take()
            if item is None:
                continue
            try:
                self._handle(item)
            except Exception as error:
                self._on_error(item, error)
            item = None  # an image must not live until the next one comes
