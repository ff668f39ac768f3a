"""A slot between threads that keeps the newest item, so that a slow consumer stays up to date."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
import threading
from typing import Generic, Literal, TypeVar

from thermal_perception.errors import ConfigError

T = TypeVar('T')


@dataclass(frozen=True)
class SlotCounts:
    """What became of the items: `put == taken + replaced + discarded + waiting`.

    Attributes:
        put: items handed in.
        taken: items handed out.
        replaced: items pushed out by newer ones before anyone took them.
        discarded: items dropped by `clear`, by `close`, or handed in after `close`.
        waiting: items in the slot now.
    """

    put: int
    taken: int
    replaced: int
    discarded: int
    waiting: int


class NewestSlot(Generic[T]):
    """Hands items from one thread to another; when full, the oldest item gives way.

    Mode `newest` holds one item. Mode `all` holds up to `capacity` in order, for replays in which
    every frame counts. `put` never blocks, so a callback that feeds the slot returns at once.
    """

    def __init__(self, mode: Literal['newest', 'all'] = 'newest', *, capacity: int = 256) -> None:
        """Make an empty slot.

        Raises:
            ConfigError: if the mode is unknown or the capacity is below 1.
        """
        if mode not in ('newest', 'all'):
            raise ConfigError(f'queue: found {mode!r}, expected newest or all')
        if capacity < 1:
            raise ConfigError(f'queue capacity: found {capacity}, expected at least 1')
        self._items: deque[T] = deque()
        self._capacity = 1 if mode == 'newest' else capacity
        self._condition = threading.Condition()
        self._closed = False
        self._put = self._taken = self._replaced = self._discarded = 0

    def put(self, item: T) -> bool:
        """Hand in an item without waiting; returns False if the slot is closed."""
        with self._condition:
            self._put += 1
            if self._closed:
                self._discarded += 1
                return False
            if len(self._items) == self._capacity:
                self._items.popleft()
                self._replaced += 1
            self._items.append(item)
            self._condition.notify()
            return True

    def take(self, timeout_s: float | None = None) -> T | None:
        """Wait for the oldest waiting item.

        Args:
            timeout_s: longest wait in seconds, 0 to look only, None to wait until `close`.

        Returns:
            The item; None on a timeout or when the slot is closed.
        """
        with self._condition:
            self._condition.wait_for(lambda: bool(self._items) or self._closed, timeout_s)
            if not self._items:
                return None
            self._taken += 1
            return self._items.popleft()

    def clear(self) -> None:
        """Discard what waits, for example after a jump in time."""
        with self._condition:
            self._discarded += len(self._items)
            self._items.clear()

    def close(self) -> None:
        """Discard what waits and wake every waiting thread; the slot stays closed."""
        with self._condition:
            self.clear()
            self._closed = True
            self._condition.notify_all()

    @property
    def closed(self) -> bool:
        """True after `close`."""
        return self._closed

    @property
    def counts(self) -> SlotCounts:
        """A consistent snapshot of the counters."""
        with self._condition:
            return SlotCounts(
                self._put, self._taken, self._replaced, self._discarded, len(self._items)
            )
