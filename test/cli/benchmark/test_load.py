"""Rising rates and overload: what is tried, and what is concluded."""

from __future__ import annotations

import pytest
from turns import arrivals, MS, turn

from thermal_perception.cli.benchmark.load import Overload, raise_rates, Sweep
from thermal_perception.cli.benchmark.turn import Fates, Turn


def newest_wins(call_ms, rate_hz, images=100):
    """Return what a node makes of images that comes to the newest when it has done the last."""
    stamps_ms = [round(1000 * number / rate_hz, 3) for number in range(images)]
    answered, done_ms, waiting = [], 0.0, None
    for stamp_ms in [*stamps_ms, float('inf')]:
        if waiting is not None and done_ms <= stamp_ms:
            done_ms = max(done_ms, waiting) + call_ms
            answered.append((waiting, done_ms - waiting))
            waiting = None
        waiting = stamp_ms
    found = arrivals([age for _, age in answered], [stamp for stamp, _ in answered])
    first = sum(stamp < stamps_ms[5] for stamp, _ in answered)
    return Turn([round(s * MS) for s in stamps_ms], found.part(first), len(answered), 0.5)


def test_sweep_ends_when_two_rates_in_a_row_were_not_answered_in_full():
    sweep = Sweep(reached_hz=10.0)
    raise_rates([(sweep, lambda hz: newest_wins(1000 / 10.5, hz))])
    # A node that needs a little less than 100 ms answers all at 10 Hz, and not at 11.
    rates_hz = [turn.input_hz for turn in sweep.turns]
    assert rates_hz == pytest.approx([5.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.5], rel=1e-3)
    assert [turn.share == 1 for turn in sweep.turns] == [True] * 5 + [False] * 2
    assert sweep.saturation_hz == pytest.approx(10.0, rel=1e-3)
    assert sweep.saturated


def test_nodes_take_turns_and_one_that_is_known_rests():
    order = []

    def node(name, call_ms):
        def take(hz):
            order.append((name, hz))
            return newest_wins(call_ms, hz)

        return Sweep(reached_hz=10.0), take

    (slow, take_slow), (quick, take_quick) = node('slow', 1000.0), node('quick', 1.0)
    raise_rates([(slow, take_slow), (quick, take_quick)])
    assert order[:5] == [('slow', 5), ('quick', 5), ('slow', 7), ('quick', 7), ('quick', 8)]
    assert slow.saturation_hz is None
    assert order[9:12] == [('quick', 15), ('quick', 22.5), ('quick', 33.75)]
    assert not quick.saturated


def test_sweep_ends_where_the_camera_reaches_its_limits():
    sweep = Sweep(reached_hz=100.0)
    raise_rates([(sweep, lambda hz: newest_wins(1.0, min(hz, 62.0)))])
    assert len(sweep.turns) == 2  # 50 Hz, and 62 where 70 were asked for
    fast = Sweep(reached_hz=400.0)
    raise_rates([(fast, lambda hz: newest_wins(0.1, hz))])
    assert len(fast.turns) == 7  # the last of them 500 Hz, the most that it is asked for
    assert fast.next_hz is None


def test_one_rate_that_the_machine_spoiled_does_not_end_a_sweep():
    sweep = Sweep(reached_hz=10.0)
    spoiled = iter([False, True] + [False] * 20)
    raise_rates([(sweep, lambda hz: newest_wins(300.0 if next(spoiled) else 1.0, hz))])
    assert len(sweep.turns) > 9
    assert sweep.saturation_hz == pytest.approx(384.4, rel=1e-3)


def overload(ages_ms):
    return Overload(turn(ages_ms, period_ms=500), Fates(20, 10, {'replaced': 10}))


def test_age_that_stays_has_no_slope():
    steady = overload([40.0] * 9)
    assert (steady.growth, steady.slope_ms_per_s) == (1.0, 0.0)


def test_age_that_grows_is_seen_as_slope_and_between_thirds():
    # 10 ms more with every answer, of which two come in a second.
    growing = overload([100.0 + 10 * number for number in range(9)])
    assert growing.slope_ms_per_s == pytest.approx(20.0)
    assert growing.thirds_ms == (110.0, 170.0)
    assert growing.growth == pytest.approx(170 / 110)


def test_overload_of_one_answer_is_no_growth():
    assert (overload([40.0]).growth, overload([40.0]).slope_ms_per_s) == (1.0, 0.0)


def test_json_has_every_rate_and_the_end_of_the_overload():
    sweep = Sweep(reached_hz=10.0)
    raise_rates([(sweep, lambda hz: newest_wins(1000 / 10.5, hz))])
    values = sweep.to_json()
    assert (values['saturated'], len(values['steps'])) == (True, 7)
    assert values['steps'][0]['answered_share'] == 1.0
    assert values['steps'][0]['age_median_ms'] == pytest.approx(1000 / 10.5)
    found = overload([100.0, 100.0, 150.0]).to_json()
    assert (found['age_growth'], found['frames']['given_up']) == (1.5, {'replaced': 10})
