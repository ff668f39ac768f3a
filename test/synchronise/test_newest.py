from __future__ import annotations

import threading

from hypothesis import given, settings
import hypothesis.strategies as st
import pytest

from thermal_perception.errors import ConfigError
from thermal_perception.synchronise.newest import NewestSlot, SlotCounts

DEADLINE_S = 10.0


def test_take_from_newest_slot_when_two_were_put_then_second_and_first_is_replaced():
    slot: NewestSlot[str] = NewestSlot()
    slot.put('first')
    slot.put('second')
    assert slot.take(0.0) == 'second'
    assert slot.counts == SlotCounts(put=2, taken=1, replaced=1, discarded=0, waiting=0)


def test_take_from_queue_of_all_gives_items_in_order():
    slot: NewestSlot[int] = NewestSlot('all', capacity=3)
    for item in (1, 2, 3):
        slot.put(item)
    assert [slot.take(0.0) for _ in range(3)] == [1, 2, 3]
    assert slot.counts.replaced == 0


def test_put_into_full_queue_of_all_replaces_the_oldest():
    slot: NewestSlot[int] = NewestSlot('all', capacity=2)
    for item in (1, 2, 3):
        slot.put(item)
    assert [slot.take(0.0), slot.take(0.0), slot.take(0.0)] == [2, 3, None]
    assert slot.counts == SlotCounts(put=3, taken=2, replaced=1, discarded=0, waiting=0)


def test_take_from_empty_slot_when_time_is_up_then_none():
    assert NewestSlot().take(0.01) is None


def test_take_waits_for_an_item_of_another_thread():
    slot: NewestSlot[str] = NewestSlot()
    received: list[str | None] = []
    consumer = threading.Thread(target=lambda: received.append(slot.take(DEADLINE_S)))
    consumer.start()
    slot.put('frame')
    consumer.join(DEADLINE_S)
    assert received == ['frame']


def test_close_wakes_a_waiting_thread_with_none():
    slot: NewestSlot[str] = NewestSlot()
    received: list[str | None] = []
    consumer = threading.Thread(target=lambda: received.append(slot.take(None)))
    consumer.start()
    slot.close()
    consumer.join(DEADLINE_S)
    assert not consumer.is_alive()
    assert received == [None]


def test_close_discards_what_waits_and_what_comes_after():
    slot: NewestSlot[int] = NewestSlot('all', capacity=4)
    slot.put(1)
    slot.put(2)
    slot.close()
    assert slot.put(3) is False
    assert slot.take(0.0) is None
    assert slot.closed
    assert slot.counts == SlotCounts(put=3, taken=0, replaced=0, discarded=3, waiting=0)


def test_clear_discards_what_waits_and_leaves_the_slot_open():
    slot: NewestSlot[int] = NewestSlot()
    slot.put(1)
    slot.clear()
    slot.put(2)
    assert slot.take(0.0) == 2
    assert slot.counts == SlotCounts(put=2, taken=1, replaced=0, discarded=1, waiting=0)


def test_every_item_of_a_fast_producer_is_taken_or_counted():
    slot: NewestSlot[int] = NewestSlot()
    taken: list[int] = []

    def consume() -> None:
        while (item := slot.take(DEADLINE_S)) is not None:
            taken.append(item)

    consumer = threading.Thread(target=consume)
    consumer.start()
    for item in range(5000):
        slot.put(item)
    slot.close()
    consumer.join(DEADLINE_S)
    counts = slot.counts
    assert taken == sorted(taken)
    assert len(taken) == counts.taken
    assert counts.taken + counts.replaced + counts.discarded == counts.put == 5000


@settings(deadline=None)
@given(
    st.sampled_from(['newest', 'all']),
    st.integers(1, 4),
    st.lists(st.sampled_from(['put', 'take', 'clear']), max_size=40),
)
def test_counts_add_up_after_any_sequence_and_the_slot_never_grows(mode, capacity, steps):
    slot: NewestSlot[int] = NewestSlot(mode, capacity=capacity)
    waiting: list[int] = []  # the obvious reference
    for number, step in enumerate(steps):
        if step == 'put':
            slot.put(number)
            waiting = [*waiting, number][-(1 if mode == 'newest' else capacity) :]
        elif step == 'take':
            assert slot.take(0.0) == (waiting.pop(0) if waiting else None)
        else:
            slot.clear()
            waiting = []
        counts = slot.counts
        assert counts.waiting == len(waiting)
        assert counts.put == counts.taken + counts.replaced + counts.discarded + counts.waiting


def test_slot_of_unknown_mode_is_refused():
    with pytest.raises(ConfigError, match="found 'latest', expected newest or all"):
        NewestSlot('latest')  # type: ignore[arg-type]


def test_slot_without_room_is_refused():
    with pytest.raises(ConfigError, match='found 0, expected at least 1'):
        NewestSlot('all', capacity=0)
