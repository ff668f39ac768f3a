"""The finest features that fit, and not too often."""

from __future__ import annotations

from thermal_perception.v2x.budget import finest_that_fits, RateLimit
from thermal_perception.v2x.message import EncodedMessage

S = 1_000_000_000


def encode(size):
    return EncodedMessage(0, '', '', bytes(size))


def test_the_finest_that_fits():
    sizes = (4000, 1000, 300)
    assert finest_that_fits(sizes, encode, 4000).level_index == 0
    assert finest_that_fits(sizes, encode, 3999).level_index == 1
    fitted = finest_that_fits(sizes, encode, 500)
    assert (fitted.level_index, len(fitted.message.data)) == (2, 300)
    assert finest_that_fits(sizes, encode, 299) is None
    assert finest_that_fits(sizes, encode, 0).level_index == 0


def admitted(limit, stamps_s):
    return [s for s in stamps_s if limit.admits(int(s * S))]


def test_mean_rate_of_a_faster_camera():
    stamps = [1 + n / 30 for n in range(300)]
    assert len(admitted(RateLimit(10.0), stamps)) == 100


def test_jitter_costs_no_frame():
    stamps = [1 + n / 10 + (0.004 if n % 2 else -0.004) for n in range(100)]
    assert len(admitted(RateLimit(10.0), stamps)) == 100


def test_after_a_pause_there_is_no_burst():
    assert admitted(RateLimit(1.0), [1, 1.1, 5, 5.1, 5.2, 6.0]) == [1, 5, 6.0]


def test_no_limit():
    assert len(admitted(RateLimit(0.0), [1, 1.001, 1.002])) == 3


def test_time_that_is_set_back_is_not_waited_for():
    assert admitted(RateLimit(10.0), [100, 100.1, 3.0, 3.1]) == [100, 100.1, 3.0, 3.1]
