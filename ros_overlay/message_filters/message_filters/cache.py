"""A short memory of messages, asked by time."""

from __future__ import annotations

from collections import deque
import threading
from typing import Any, NamedTuple

from rclpy.time import Time

from message_filters.simple_filter import SimpleFilter
from message_filters.stamps import message_time, stamp_to_time


class _Entry(NamedTuple):
    nanoseconds: int
    time: Time
    msg: Any


class Cache(SimpleFilter):
    """Keeps the `cache_size` messages that arrived last and passes every message on.

    Answers are in the order of the stamps, also when messages arrive out of order. What leaves is
    what arrived first: after time has jumped back the cache fills with the new messages.
    """

    def __init__(self, f: SimpleFilter, cache_size: int = 1,
                 allow_headerless: bool = False) -> None:
        super().__init__()
        self.cache_size = cache_size
        self.allow_headerless = allow_headerless
        self._lock = threading.Lock()
        self._entries: deque[_Entry] = deque(maxlen=cache_size)
        self.connectInput(f)

    def connectInput(self, f: SimpleFilter) -> None:
        """Take messages from `f`."""
        self.incoming_connection = f.registerCallback(self.add)

    def add(self, msg: Any) -> None:
        """Remember one message and pass it on; one without a stamp is dropped unless allowed."""
        time = message_time(msg, allow_headerless=self.allow_headerless,
                            logger_name='message_filters_cache')
        if time is None:
            return
        with self._lock:
            self._entries.append(_Entry(time.nanoseconds, time, msg))
        self.signalMessage(msg)

    @property
    def cache_msgs(self) -> list[Any]:
        """The remembered messages in the order of their stamps."""
        return [entry.msg for entry in self._sorted()]

    @property
    def cache_times(self) -> list[Time]:
        """The stamps of `cache_msgs`."""
        return [entry.time for entry in self._sorted()]

    def getInterval(self, from_stamp: Any, to_stamp: Any) -> list[Any]:
        """Return the messages from `from_stamp` to `to_stamp`, both included.

        Raises:
            ValueError: if the interval ends before it begins.
        """
        start, end = _nanoseconds(from_stamp), _nanoseconds(to_stamp)
        if start > end:
            raise ValueError(f'the interval ends at {end} ns, before it begins at {start} ns')
        return [entry.msg for entry in self._sorted() if start <= entry.nanoseconds <= end]

    def getElemAfterTime(self, stamp: Any) -> Any:
        """Return the oldest message at or after `stamp`, or None."""
        start = _nanoseconds(stamp)
        return next((e.msg for e in self._sorted() if e.nanoseconds >= start), None)

    def getElemBeforeTime(self, stamp: Any) -> Any:
        """Return the newest message at or before `stamp`, or None."""
        end = _nanoseconds(stamp)
        return next((e.msg for e in reversed(self._sorted()) if e.nanoseconds <= end), None)

    def getLastestTime(self) -> Time | None:
        """Return the newest stamp, or None; the spelling is upstream's."""
        times = self.cache_times
        return times[-1] if times else None

    def getOldestTime(self) -> Time | None:
        """Return the oldest stamp, or None."""
        times = self.cache_times
        return times[0] if times else None

    def getLast(self) -> Any:
        """Return the message with the newest stamp, or None."""
        messages = self.cache_msgs
        return messages[-1] if messages else None

    def _sorted(self) -> list[_Entry]:
        with self._lock:
            return sorted(self._entries, key=lambda entry: entry.nanoseconds)


def _nanoseconds(stamp: Any) -> int:
    """Return a stamp's nanoseconds; the kind of clock does not matter, only one is cached."""
    return stamp_to_time(stamp).nanoseconds
