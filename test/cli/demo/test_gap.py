"""When the demo takes something away."""

from __future__ import annotations

from thermal_perception.cli.demo.gap import Gap, GapPlan


def test_it_is_missing_between_the_times_and_switched_once_each_way():
    switched = []
    gap = Gap(switched.append, GapPlan('colour camera cut off', 10.0, 15.0))
    notes = [gap.at(second) for second in (0.0, 9.9, 10.0, 12.0, 14.9, 15.0, 19.0)]
    assert switched == [True, False]
    off = 'colour camera cut off until 15 s'
    assert notes == ['', '', off, off, off, '', '']
