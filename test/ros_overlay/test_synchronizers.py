from __future__ import annotations

import itertools
import threading
import time
from types import SimpleNamespace

from hypothesis import given, settings, strategies as st
import pytest

pytest.importorskip('rclpy')
message_filters = pytest.importorskip('message_filters')

from message_filters import (  # noqa: E402
    ApproximateTimeSynchronizer,
    SimpleFilter,
    TimeSynchronizer,
)
from std_msgs.msg import Header, String  # noqa: E402

MS = 1_000_000


def message(stamp_ms, name=''):
    header = Header()
    header.stamp.sec, milliseconds = divmod(stamp_ms, 1000)
    header.stamp.nanosec = milliseconds * MS
    return SimpleNamespace(header=header, ms=stamp_ms, name=name)


def synchronize(make, topics, *arguments, **options):
    """Return the inputs of a synchroniser and the list that its sets go to."""
    inputs = [SimpleFilter() for _ in range(topics)]
    synchronizer = make(inputs, *arguments, **options)
    sets = []
    synchronizer.registerCallback(lambda *msgs: sets.append(tuple(msg.ms for msg in msgs)))
    return inputs, sets


def test_exact_equal_stamps_come_out_together():
    (a, b), sets = synchronize(TimeSynchronizer, 2, 10)
    a.signalMessage(message(100))
    b.signalMessage(message(101))
    assert sets == []
    b.signalMessage(message(100))
    assert sets == [(100, 100)]


def test_exact_output_is_in_the_order_of_the_inputs_whatever_arrives_first():
    inputs = [SimpleFilter() for _ in range(3)]
    names = []
    TimeSynchronizer(inputs, 2).registerCallback(lambda *msgs: names.extend(m.name for m in msgs))
    for index in (2, 0, 1):
        inputs[index].signalMessage(message(5, name='abc'[index]))
    assert names == ['a', 'b', 'c']


def test_exact_a_set_comes_out_once():
    (a, b), sets = synchronize(TimeSynchronizer, 2, 10)
    a.signalMessage(message(100))
    b.signalMessage(message(100))
    b.signalMessage(message(100))
    assert sets == [(100, 100)]


def test_exact_full_queue_forgets_the_first_that_arrived():
    (a, b), sets = synchronize(TimeSynchronizer, 2, 2)
    for stamp in (1, 2, 3):
        a.signalMessage(message(stamp))
    for stamp in (1, 2, 3):
        b.signalMessage(message(stamp))
    assert sets == [(2, 2), (3, 3)]


@pytest.mark.parametrize('make, options', [(TimeSynchronizer, ()),
                                           (ApproximateTimeSynchronizer, (0.01,))])
def test_time_that_jumps_back_keeps_pairing(make, options):
    """Upstream drops the smallest stamp of a full queue, which after a jump is the new one."""
    (a, b), sets = synchronize(make, 2, 3, *options)
    for stamp in (10_000, 10_100, 10_200):
        a.signalMessage(message(stamp))
    for stamp in (0, 100):
        a.signalMessage(message(stamp))
        b.signalMessage(message(stamp))
    assert sets == [(0, 0), (100, 100)]


@pytest.mark.parametrize('make, options', [(TimeSynchronizer, ()),
                                           (ApproximateTimeSynchronizer, (0.01,))])
def test_waiting_messages_are_bounded_when_a_topic_is_silent(make, options):
    a, silent = SimpleFilter(), SimpleFilter()
    synchronizer = make([a, silent], 5, *options)
    for stamp in range(1000):
        a.signalMessage(message(stamp))
    assert [len(queue) for queue in synchronizer.queues] == [5, 0]
    assert list(synchronizer.queues[0]) == [stamp * MS for stamp in range(995, 1000)]


@pytest.mark.parametrize('make, options', [(TimeSynchronizer, ()),
                                           (ApproximateTimeSynchronizer, (0.01,))])
def test_callback_runs_without_the_lock_and_may_feed_the_inputs(make, options):
    a, b = SimpleFilter(), SimpleFilter()
    synchronizer = make([a, b], 5, *options)
    seen = []

    def callback(first, second):
        assert not synchronizer.lock.locked()
        seen.append(first.ms)
        if first.ms < 300:  # a message that the callback itself causes
            a.signalMessage(message(first.ms + 100))
            b.signalMessage(message(first.ms + 100))

    synchronizer.registerCallback(callback)
    a.signalMessage(message(100))
    b.signalMessage(message(100))
    assert seen == [100, 200, 300]


def test_slow_callback_does_not_hold_up_the_inputs():
    a, b = SimpleFilter(), SimpleFilter()
    synchronizer = TimeSynchronizer([a, b], 5)
    entered, leave = threading.Event(), threading.Event()
    synchronizer.registerCallback(lambda *msgs: (entered.set(), leave.wait(10)))
    a.signalMessage(message(1))
    slow = threading.Thread(target=b.signalMessage, args=(message(1),))
    slow.start()
    assert entered.wait(10)
    start = time.monotonic()
    a.signalMessage(message(2))
    waited = time.monotonic() - start
    leave.set()
    slow.join(10)
    assert waited < 1.0


def test_approximate_pairs_the_nearest_stamp_within_the_slop():
    (a, b), sets = synchronize(ApproximateTimeSynchronizer, 2, 10, 0.05)
    for stamp in (960, 990, 1030):
        a.signalMessage(message(stamp))
    b.signalMessage(message(1000))
    assert sets == [(990, 1000)]


def test_approximate_stamps_as_far_apart_as_the_slop_do_not_pair():
    (a, b), sets = synchronize(ApproximateTimeSynchronizer, 2, 10, 0.05)
    a.signalMessage(message(1000))
    b.signalMessage(message(1050))
    assert sets == []
    b.signalMessage(message(1049))
    assert sets == [(1000, 1049)]


def test_approximate_three_topics_each_near_the_new_one_but_not_each_other_do_not_pair():
    (a, b, c), sets = synchronize(ApproximateTimeSynchronizer, 3, 10, 0.05)
    a.signalMessage(message(960))
    b.signalMessage(message(1040))
    c.signalMessage(message(1000))
    assert sets == []


def test_approximate_three_topics_come_out_with_the_smallest_spread():
    (a, b, c), sets = synchronize(ApproximateTimeSynchronizer, 3, 10, 0.05)
    for stamp in (970, 1020):  # 1020 is nearer to the new one ...
        a.signalMessage(message(stamp))
    b.signalMessage(message(975))  # ... but 970, 975, 1000 spread over 30 ms, not 45
    c.signalMessage(message(1000))
    assert sets == [(970, 975, 1000)]


def test_approximate_stamps_in_the_same_millisecond_of_other_seconds_do_not_pair():
    (a, b), sets = synchronize(ApproximateTimeSynchronizer, 2, 10, 0.05)
    a.signalMessage(message(1000))
    b.signalMessage(message(2000))
    assert sets == []


def test_approximate_headerless_message_is_dropped_unless_allowed():
    (a, b), sets = synchronize(ApproximateTimeSynchronizer, 2, 10, 0.05)
    a.signalMessage(String(data='no header'))
    b.signalMessage(message(0))
    assert sets == []


def test_approximate_headerless_messages_pair_by_arrival_when_allowed():
    inputs = [SimpleFilter(), SimpleFilter()]
    sets = []
    synchronizer = ApproximateTimeSynchronizer(inputs, 10, 10.0, allow_headerless=True)
    synchronizer.registerCallback(lambda *msgs: sets.append([msg.data for msg in msgs]))
    inputs[0].signalMessage(String(data='left'))
    inputs[1].signalMessage(String(data='right'))
    assert sets == [['left', 'right']]


def test_approximate_arrival_time_pairs_what_arrives_together():
    (a, b), sets = synchronize(ApproximateTimeSynchronizer, 2, 10, 10.0, sync_arrival_time=True)
    a.signalMessage(message(0))
    b.signalMessage(message(3_600_000))
    assert sets == [(0, 3_600_000)]


def test_approximate_burst_of_four_topics_takes_milliseconds():
    """Upstream enumerates 100 ** 3 combinations here, which takes it 27 s."""
    inputs, sets = synchronize(ApproximateTimeSynchronizer, 4, 100, 1.0)
    for topic, offset in ((0, 0), (1, 900), (2, 450)):  # 0 and 1 never fit with the last
        for index in range(100):
            inputs[topic].signalMessage(message(10_000 + offset + index))
    start = time.perf_counter()
    inputs[3].signalMessage(message(11_050))
    assert time.perf_counter() - start < 0.5
    assert len(sets) == 1


STAMPS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 60)), max_size=25)


class Reference:
    """Brute force: of all sets with the new message, the one with the smallest spread."""

    def __init__(self, topics, queue_size, slop_ms):
        self.queues = [[] for _ in range(topics)]
        self.queue_size, self.slop_ms = queue_size, slop_ms

    def add(self, topic, stamp):
        queue = self.queues[topic]
        if stamp in queue:
            queue.remove(stamp)
        queue.append(stamp)
        del queue[:-self.queue_size]
        choices = [[stamp] if index == topic else other
                   for index, other in enumerate(self.queues)]
        spreads = [(max(c) - min(c), c) for c in itertools.product(*choices)]
        fitting = [(spread, c) for spread, c in spreads if spread < self.slop_ms]
        return min(spread for spread, _ in fitting) if fitting else None

    def remove(self, stamps):
        for queue, stamp in zip(self.queues, stamps):
            queue.remove(stamp)


@settings(max_examples=300, deadline=None)
@given(arrivals=STAMPS, queue_size=st.integers(1, 5), slop_ms=st.integers(1, 30))
def test_approximate_agrees_with_brute_force(arrivals, queue_size, slop_ms):
    inputs, sets = synchronize(ApproximateTimeSynchronizer, 3, queue_size, slop_ms / 1000)
    reference = Reference(3, queue_size, slop_ms)
    for topic, stamp in arrivals:
        expected_spread = reference.add(topic, stamp)
        sets.clear()
        inputs[topic].signalMessage(message(stamp))
        spreads = [max(stamps) - min(stamps) for stamps in sets]
        assert spreads == ([] if expected_spread is None else [expected_spread])
        if sets:
            assert sets[0][topic] == stamp
            reference.remove(sets[0])


def test_approximate_rclpy_times_as_stamps_pair():
    from rclpy.time import Time
    inputs = [SimpleFilter(), SimpleFilter()]
    sets = []
    ApproximateTimeSynchronizer(inputs, 1, 0.1).registerCallback(lambda *m: sets.append(m))
    left, right = (SimpleNamespace(header=SimpleNamespace(stamp=Time(seconds=7)))
                   for _ in range(2))
    inputs[0].signalMessage(left)
    inputs[1].signalMessage(right)
    assert sets == [(left, right)]
