from __future__ import annotations

import threading

import pytest

from thermal_perception.nodes.base.worker import call_in_thread, Worker
from thermal_perception.synchronise import NewestSlot

DEADLINE_S = 5.0


def test_items_are_handled_in_another_thread_and_in_order():
    slot, handled, done = NewestSlot('all'), [], threading.Event()

    def handle(item):
        handled.append((item, threading.current_thread().name))
        if item == 3:
            done.set()

    worker = Worker(slot, handle, lambda item, error: None, name='perception')
    for item in (1, 2, 3):
        slot.put(item)
    worker.start()
    assert done.wait(DEADLINE_S)
    assert worker.stop(DEADLINE_S)
    assert handled == [(1, 'perception'), (2, 'perception'), (3, 'perception')]


def test_error_is_reported_with_its_item_and_the_next_item_is_handled():
    slot, done, errors = NewestSlot('all'), threading.Event(), []

    def handle(item):
        if item == 'bad':
            raise ValueError('spoilt')
        done.set()

    worker = Worker(slot, handle, lambda item, error: errors.append((item, str(error))), name='w')
    slot.put('bad')
    slot.put('good')
    worker.start()
    assert done.wait(DEADLINE_S)
    assert worker.stop(DEADLINE_S)
    assert errors == [('bad', 'spoilt')]


def test_stop_waits_for_the_item_in_hand_and_discards_the_rest():
    slot, begun, go_on, finished = NewestSlot('all'), threading.Event(), threading.Event(), []

    def handle(item):
        begun.set()
        assert go_on.wait(DEADLINE_S)
        finished.append(item)

    worker = Worker(slot, handle, lambda item, error: None, name='w')
    slot.put(1)
    slot.put(2)
    worker.start()
    assert begun.wait(DEADLINE_S)
    assert not worker.stop(0.01)  # still at work
    go_on.set()
    assert worker.stop(DEADLINE_S)
    assert finished == [1]
    assert slot.counts.discarded == 1


def test_call_in_thread_returns_the_result_when_its_thread_has_ended():
    thread = call_in_thread(threading.current_thread)
    assert thread is not threading.current_thread()
    assert not thread.is_alive()


def test_call_in_thread_raises_what_the_function_raises():
    with pytest.raises(KeyError, match='weights'):
        call_in_thread(lambda: {}['weights'])
