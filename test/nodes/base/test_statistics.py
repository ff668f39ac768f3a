from __future__ import annotations

from thermal_perception.nodes.base.statistics import EventCounter, Latency, RateMeter, StageTimes


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def test_event_is_in_three_reports_however_long_they_take_and_counted_for_ever():
    report = 7
    events = EventCounter(lambda: report)
    events.add('future')
    report = 9
    events.add('future', 4)
    events.add('duplicate')
    assert events.recent == {'future': 5, 'duplicate': 1}
    report = 10
    assert events.recent == {'future': 4, 'duplicate': 1}
    report = 12
    assert events.recent == {}
    assert events.totals == {'future': 5, 'duplicate': 1}
    assert events.total('future') == 5
    assert events.total('never') == 0


def test_flood_of_events_between_two_reports_is_counted_in_one_place():
    events = EventCounter(lambda: 0)
    for _ in range(10_000):
        events.add('zero_stamp')
    assert events.recent['zero_stamp'] == 10_000
    assert len(events._by_report) == 1


def test_counter_whose_reports_nobody_reads_forgets_too():
    reports = iter(range(1_000_000))
    events = EventCounter(lambda: next(reports))
    for _ in range(1000):
        events.add('processed')
    assert events.total('processed') == 1000
    assert len(events._by_report) <= 3


def test_rate_is_that_of_the_intervals_in_the_window():
    clock = Clock()
    rate = RateMeter(3.0, clock)
    assert (rate.hz, rate.seen) == (0.0, False)
    for _ in range(10):
        rate.tick()
        clock.now += 0.5
    assert rate.seen
    assert rate.hz == 2.0
    assert rate.silent_s == 0.5
    clock.now += 10
    assert rate.hz == 0.0
    assert rate.silent_s == 10.5


def test_silence_before_the_first_event_counts_from_the_start():
    clock = Clock()
    rate = RateMeter(3.0, clock)
    clock.now += 7
    assert rate.silent_s == 7


def test_two_events_at_one_instant_have_no_rate():
    rate = RateMeter(3.0, Clock())
    rate.tick()
    rate.tick()
    assert rate.hz == 0.0


def test_stage_times_give_median_and_99th_percentile_in_milliseconds():
    times = StageTimes(window=101)
    for i in range(101):
        times.add({'decode': i / 1000, 'model': 1.0})
    assert times.summary == {'decode': Latency(50.0, 99.0), 'model': Latency(1000.0, 1000.0)}


def test_stage_times_forget_what_is_older_than_the_window():
    times = StageTimes(window=2)
    for duration_s in (9.0, 1.0, 2.0):
        times.add({'model': duration_s})
    assert times.summary['model'].median_ms == 1500.0


def test_no_frames_have_no_latencies():
    assert StageTimes(window=5).summary == {}
