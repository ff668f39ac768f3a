"""Sets of messages, one of each input, that were measured at the same time."""

from __future__ import annotations

from collections.abc import Sequence
import threading
from typing import Any

from rclpy.clock import ROSClock
from rclpy.duration import Duration

from message_filters.simple_filter import SimpleFilter
from message_filters.stamps import message_time

Queue = dict[int, Any]  # message by stamp in nanoseconds, in the order of arrival


class TimeSynchronizer(SimpleFilter):
    """Outputs sets of messages with equal stamps.

    Args:
        fs: the inputs; the callback gets one message of each, in their order.
        queue_size: how many messages of each input wait for their partners. The one that arrived
            first leaves first, so that after a jump back in time the new messages stay.

    A message with the stamp of one that waits takes its place. Callbacks run after the lock is
    released: with a multi-threaded executor two sets may be handled beside each other.
    """

    _logger_name = 'message_filters_sync'

    def __init__(self, fs: Sequence[SimpleFilter], queue_size: int) -> None:
        super().__init__()
        self.queue_size = queue_size
        self.allow_headerless = False
        self.lock = threading.Lock()
        self.connectInput(fs)

    def connectInput(self, fs: Sequence[SimpleFilter]) -> None:
        """Take messages from the filters `fs`; what waited for its partners is forgotten."""
        self.queues: list[Queue] = [{} for _ in fs]
        self.input_connections = [
            f.registerCallback(self.add, queue, index)
            for index, (f, queue) in enumerate(zip(fs, self.queues))]

    def add(self, msg: Any, my_queue: Queue, my_queue_index: int | None = None) -> None:
        """Take one message of one input and output the set that it completes, if any."""
        stamp_ns = self._stamp_ns(msg)
        if stamp_ns is None:
            return
        with self.lock:
            my_queue.pop(stamp_ns, None)
            my_queue[stamp_ns] = msg
            while len(my_queue) > self.queue_size:
                del my_queue[next(iter(my_queue))]
            stamps = self._match(stamp_ns, my_queue) if stamp_ns in my_queue else None
            if stamps is None:
                return
            messages = [queue.pop(stamp) for queue, stamp in zip(self.queues, stamps)]
        self.signalMessage(*messages)

    def _stamp_ns(self, msg: Any) -> int | None:
        time = message_time(msg, allow_headerless=self.allow_headerless,
                            logger_name=self._logger_name)
        return None if time is None else time.nanoseconds

    def _match(self, stamp_ns: int, own: Queue) -> list[int] | None:
        """Return one stamp of every queue that go together with the new one, or None."""
        if all(stamp_ns in queue for queue in self.queues):
            return [stamp_ns] * len(self.queues)
        return None


class ApproximateTimeSynchronizer(TimeSynchronizer):
    """Outputs sets of messages whose stamps lie less than `slop` seconds apart.

    Args:
        fs: the inputs; the callback gets one message of each, in their order.
        queue_size: how many messages of each input wait for their partners.
        slop: seconds; the newest and the oldest message of a set are closer than this.
        allow_headerless: a message without a stamp counts as measured when it arrives.
        sync_arrival_time: every message counts as measured when it arrives.

    A new message completes the set with the smallest spread of stamps that it is part of; among
    equal spreads, the messages nearest to it.
    """

    _logger_name = 'message_filters_approx'

    def __init__(self, fs: Sequence[SimpleFilter], queue_size: int, slop: float,
                 allow_headerless: bool = False, sync_arrival_time: bool = False) -> None:
        super().__init__(fs, queue_size)
        self.slop = Duration(seconds=slop)
        self.allow_headerless = allow_headerless
        self.sync_arrival_time = sync_arrival_time

    def _stamp_ns(self, msg: Any) -> int | None:
        return ROSClock().now().nanoseconds if self.sync_arrival_time else super()._stamp_ns(msg)

    def _match(self, stamp_ns: int, own: Queue) -> list[int] | None:
        slop_ns = self.slop.nanoseconds
        near = [[stamp_ns] if queue is own else
                sorted(stamp for stamp in queue if abs(stamp - stamp_ns) < slop_ns)
                for queue in self.queues]
        if not all(near):
            return None
        window = _smallest_window(near, stamp_ns)
        if window is None or window[1] - window[0] >= slop_ns:
            return None
        return [_nearest(stamps, stamp_ns, window) for stamps in near]


def _smallest_window(near: list[list[int]], stamp_ns: int) -> tuple[int, int] | None:
    """Return the shortest span that holds `stamp_ns` and one stamp of every list, in linear time.

    A shortest span begins at one of the stamps. As its beginning moves on, the first stamp of
    each list that lies inside only ever moves on as well.
    """
    firsts = [0] * len(near)
    best = None
    for start in sorted({stamp for stamps in near for stamp in stamps if stamp <= stamp_ns}):
        for index, stamps in enumerate(near):
            while firsts[index] < len(stamps) and stamps[firsts[index]] < start:
                firsts[index] += 1
            if firsts[index] == len(stamps):
                return best
        end = max(stamps[first] for stamps, first in zip(near, firsts))
        if best is None or end - start < best[1] - best[0]:
            best = (start, end)
    return best


def _nearest(stamps: list[int], stamp_ns: int, window: tuple[int, int]) -> int:
    inside = [stamp for stamp in stamps if window[0] <= stamp <= window[1]]
    return min(inside, key=lambda stamp: abs(stamp - stamp_ns))
