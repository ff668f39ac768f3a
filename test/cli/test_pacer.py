"""Pacing with a clock made by hand: nothing here waits."""

from __future__ import annotations

import pytest

from thermal_perception.cli.pacer import Pacer


class Clock:
    """Seconds that pass only while somebody sleeps."""

    def __init__(self):
        self.now_s = 100.0

    def now(self):
        return self.now_s

    def sleep(self, seconds):
        self.now_s += seconds


def make(rate=1.0, tick_s=0.0, start_ns=5_000_000_000):
    clock, ticks = Clock(), []
    pacer = Pacer(start_ns, rate, tick_s, ticks.append, now=clock.now, sleep=clock.sleep)
    return pacer, clock, ticks


def test_message_is_due_after_its_bag_time_divided_by_the_rate():
    pacer, clock, _ = make(rate=4.0)
    pacer.wait_until(6_000_000_000)
    assert clock.now_s == pytest.approx(100.25)


def test_late_message_is_due_at_once_and_the_worst_lag_is_kept():
    pacer, clock, _ = make()
    clock.now_s = 103.0
    pacer.wait_until(7_500_000_000)
    pacer.wait_until(8_000_000_000)
    assert clock.now_s == 103.0
    assert pacer.worst_lag_s == pytest.approx(0.5)


def test_clock_ticks_evenly_in_bag_time_while_waiting():
    pacer, _, ticks = make(rate=2.0, tick_s=0.1)
    pacer.wait_until(5_500_000_000)  # 0.25 s of wall time
    assert ticks == [pytest.approx(5_000_000_000 + i * 200_000_000, abs=10) for i in range(3)]


def test_ticks_that_were_slept_through_are_dropped_not_made_up():
    pacer, clock, ticks = make(tick_s=0.1)
    pacer.wait_until(5_000_000_000)
    clock.now_s = 101.05
    pacer.wait_until(6_050_000_000)
    assert len(ticks) == 2
    assert ticks[1] == pytest.approx(6_050_000_000, abs=10)
    pacer.wait_until(6_120_000_000)
    assert len(ticks) == 3
    assert ticks[2] == pytest.approx(6_100_000_000, abs=10)


def test_no_tick_without_a_tick_interval():
    pacer, _, ticks = make()
    pacer.wait_until(9_000_000_000)
    assert ticks == []


def test_tick_never_runs_ahead_of_the_message_that_is_due():
    pacer, clock, ticks = make(tick_s=0.1)
    clock.now_s = 102.0  # the reader was slow: a tick and a message are both overdue
    pacer.wait_until(5_700_000_000)
    assert ticks == [5_700_000_000]
