"""Things are handed over when they are due, in order, and none after the end."""

from __future__ import annotations

import threading

from thermal_perception.nodes.simulator.deliveries import Deliveries

DEADLINE_S = 30.0


def fail(item, error):
    raise AssertionError(f'{item}: {error}')


class Collector:
    def __init__(self, count):
        self.items, self.count, self.full = [], count, threading.Event()

    def __call__(self, item, now_s):
        self.items.append((item, now_s))
        if len(self.items) == self.count:
            self.full.set()


def test_in_the_order_in_which_they_are_due_and_never_early():
    collect = Collector(5)
    deliveries = Deliveries(collect, fail)
    start_s = deliveries.now_s()
    delays = {'c': 0.15, 'a': 0.05, 'd': 0.15, 'now': -1.0, 'b': 0.1}
    for item, delay_s in delays.items():
        deliveries.put(item, start_s + delay_s)
    assert collect.full.wait(DEADLINE_S)
    assert deliveries.close() == 0
    assert [item for item, _ in collect.items] == ['now', 'a', 'b', 'c', 'd']
    for item, now_s in collect.items:
        assert now_s >= start_s + delays[item]


def test_an_earlier_one_does_not_wait_for_one_that_came_first():
    collect = Collector(1)
    deliveries = Deliveries(collect, fail)
    deliveries.put('late', deliveries.now_s() + 1000.0)
    deliveries.put('early', deliveries.now_s())
    assert collect.full.wait(DEADLINE_S)
    assert collect.items[0][0] == 'early'
    assert deliveries.close() == 1


def test_nothing_is_delivered_after_the_end():
    collect = Collector(1)
    deliveries = Deliveries(collect, fail)
    deliveries.put('x', deliveries.now_s() + 1000.0)
    deliveries.put('y', deliveries.now_s() + 2000.0)
    assert deliveries.close() == 2
    assert collect.items == []


def test_one_that_cannot_be_delivered_does_not_keep_back_the_others():
    collect, failed = Collector(1), []

    def deliver(item, now_s):
        if item == 'bad':
            raise ValueError('broken')
        collect(item, now_s)

    deliveries = Deliveries(deliver, lambda item, error: failed.append((item, str(error))))
    deliveries.put('bad', deliveries.now_s() - 2.0)
    deliveries.put('good', deliveries.now_s() - 1.0)
    assert collect.full.wait(DEADLINE_S)
    deliveries.close()
    assert failed == [('bad', 'broken')]
