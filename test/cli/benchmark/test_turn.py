"""What is concluded from stamps, arrivals and what a node counts."""

from __future__ import annotations

import pytest
from turns import arrivals, MS, turn

from thermal_perception.cli.benchmark.turn import Fates, fates_of, given_up, Timing, Turn


def test_timing_is_median_and_99th_percentile():
    timing = Timing.of(list(range(101)))
    assert (timing.median_ms, timing.p99_ms) == (50, 99)


def test_rates_are_those_of_the_stamps_and_of_the_arrivals():
    # Images every 50 ms; of those at 0, 100 and 200 ms the answers came 10, 20 and 30 ms later.
    found = Turn(
        [n * 50 * MS for n in range(5)], arrivals([10, 20, 30], [0, 100, 200]), 3, cores=0.5
    )
    assert found.input_hz == pytest.approx(20.0)
    assert found.answers.rate_hz == pytest.approx(2 / 0.220)
    assert found.age.median_ms == pytest.approx(20.0)


def test_share_leaves_the_first_five_images_out():
    # Of 15 images the last ten count; 8 of these were answered, and all of the first five.
    stamps = list(range(15))
    answered = [*range(5), *range(5, 9), *range(10, 14)]
    found = Turn([s * MS for s in stamps], arrivals([1] * 13, answered), 13, cores=0.5)
    assert found.share == pytest.approx(0.8)


def test_images_end_answered_given_up_or_lost():
    first, second = turn([10] * 6), turn([10] * 4)
    fates = fates_of([first, Turn([0] * 20, second.answers, 7, 1.0)], {'replaced': 9, 'other': 0})
    assert (fates.sent, fates.answered, fates.lost) == (26, 13, 4)
    assert fates.causes == {'replaced': 9}
    assert Fates(3, 3).lost == 0


def test_causes_are_read_from_the_diagnostics_of_a_node():
    statuses = {
        'thermal input': {'received': '90', 'dropped future': '2', 'lost in transport': '9'},
        'rgb input': {'dropped future': '7'},
        'synchronisation': {'thermal paired': '80', 'thermal late': '1', 'rgb late': '3'},
        'perception': {'processed': '60', 'replaced': '21', 'failed backend': '4'},
    }
    counted = {'dropped future': 2, 'thermal late': 1, 'replaced': 21, 'failed backend': 4}
    assert given_up(statuses) == counted
