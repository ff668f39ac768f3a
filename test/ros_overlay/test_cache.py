from __future__ import annotations

from types import SimpleNamespace

import pytest

pytest.importorskip('rclpy')
pytest.importorskip('message_filters')

from message_filters import Cache, SimpleFilter
from rclpy.time import Time
from std_msgs.msg import Header, String


def message(seconds):
    header = Header()
    header.stamp.sec = seconds
    return SimpleNamespace(header=header, seconds=seconds)


def cache_of(*stamps, size=10):
    source = SimpleFilter()
    cache = Cache(source, size)
    for stamp in stamps:
        source.signalMessage(message(stamp))
    return cache


def seconds(messages):
    return [msg.seconds for msg in messages]


def at(stamp):
    return Time(seconds=stamp)


def test_interval_holds_both_its_ends():
    assert seconds(cache_of(1, 2, 3, 4, 5).getInterval(at(2), at(4))) == [2, 3, 4]


def test_interval_that_ends_before_it_begins_is_refused():
    with pytest.raises(ValueError, match='ends at 1000000000 ns, before it begins at 2000000000'):
        cache_of(1).getInterval(at(2), at(1))


def test_answers_are_sorted_when_messages_arrive_out_of_order():
    cache = cache_of(3, 1, 2)
    assert seconds(cache.cache_msgs) == [1, 2, 3]
    assert cache.getLast().seconds == 3
    assert cache.getLastestTime().nanoseconds == 3_000_000_000
    assert cache.getOldestTime().nanoseconds == 1_000_000_000


@pytest.mark.parametrize('stamp, after, before',
                         [(0, 1, None), (2, 3, 1), (3, 3, 3), (6, None, 5)])
def test_nearest_message_on_either_side_of_a_time(stamp, after, before):
    cache = cache_of(1, 3, 5)
    found = (cache.getElemAfterTime(at(stamp)), cache.getElemBeforeTime(at(stamp)))
    assert tuple(msg and msg.seconds for msg in found) == (after, before)


def test_empty_cache_answers_none():
    cache = cache_of()
    assert [cache.getLast(), cache.getLastestTime(), cache.getOldestTime(),
            cache.getElemAfterTime(at(0)), cache.getElemBeforeTime(at(0))] == [None] * 5
    assert cache.getInterval(at(0), at(9)) == []


def test_full_cache_forgets_what_arrived_first_so_that_time_may_jump_back():
    assert seconds(cache_of(1, 2, 3, size=2).cache_msgs) == [2, 3]
    assert seconds(cache_of(100, 101, 1, 2, size=2).cache_msgs) == [1, 2]


def test_default_size_keeps_the_last_message_only():
    source = SimpleFilter()
    cache = Cache(source)
    for stamp in (1, 2):
        source.signalMessage(message(stamp))
    assert seconds(cache.cache_msgs) == [2]


def test_messages_pass_through_in_the_order_of_arrival():
    source, seen = SimpleFilter(), []
    Cache(source, 1).registerCallback(seen.append)
    for stamp in (2, 1):
        source.signalMessage(message(stamp))
    assert seconds(seen) == [2, 1]


def test_headerless_message_is_dropped_unless_allowed():
    source = SimpleFilter()
    strict, lenient = Cache(source, 5), Cache(source, 5, allow_headerless=True)
    source.signalMessage(String(data='no stamp'))
    assert strict.cache_msgs == []
    assert [msg.data for msg in lenient.cache_msgs] == ['no stamp']


def test_message_stamps_are_taken_as_times_in_questions():
    assert seconds(cache_of(1, 2, 3).getInterval(message(2).header.stamp, at(3))) == [2, 3]
