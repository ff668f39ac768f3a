from __future__ import annotations

import random

from hypothesis import given, settings
import hypothesis.strategies as st
import pytest

from thermal_perception.errors import ConfigError, SynchroniseError
from thermal_perception.synchronise.offset import OffsetEstimate, OffsetEstimator

MS = 1_000_000
S = 1_000_000_000


def feed(estimator: OffsetEstimator, thermal: list[int], rgb: list[int]) -> None:
    for stamp, modality in sorted([(t, 'thermal') for t in thermal] + [(r, 'rgb') for r in rgb]):
        estimator.push(modality, stamp)  # type: ignore[arg-type]


def every(period_ns: int, n: int, start_ns: int = 0) -> list[int]:
    return [start_ns + i * period_ns for i in range(n)]


@pytest.mark.parametrize('offset_ms', [-12, 0, 3, 12])
def test_offset_of_two_cameras_of_equal_rate_is_found(offset_ms):
    estimator = OffsetEstimator()
    feed(estimator, every(33 * MS, 50, S), every(33 * MS, 50, S + offset_ms * MS))
    assert estimator.estimate is not None
    assert estimator.estimate.offset_s == pytest.approx(offset_ms * 1e-3)
    assert estimator.estimate.drift_s_per_s == pytest.approx(0.0)


def test_offset_of_60_hz_thermal_and_30_hz_rgb_is_that_of_the_nearest():
    estimator = OffsetEstimator()
    feed(estimator, every(16 * MS, 100), every(32 * MS, 50, 5 * MS))
    assert estimator.estimate is not None
    assert estimator.estimate.offset_s == pytest.approx(5e-3)


def test_arrival_in_any_interleaving_gives_the_same_estimate():
    thermal, rgb = every(33 * MS, 40, S), every(33 * MS, 40, S + 4 * MS)
    one, other = OffsetEstimator(), OffsetEstimator()
    feed(one, thermal, rgb)
    for start in range(0, 40, 10):  # RGB arrives in batches, 0.3 s late
        for t in thermal[start : start + 10]:
            other.push('thermal', t)
        for r in rgb[start : start + 10]:
            other.push('rgb', r)
    assert other.estimate == one.estimate


def test_gap_in_one_stream_does_not_disturb_the_estimate():
    rgb = every(33 * MS, 100, S + 4 * MS)
    estimator = OffsetEstimator()
    feed(estimator, every(33 * MS, 100, S), rgb[:20] + rgb[70:])
    assert estimator.estimate is not None
    assert estimator.estimate.offset_s == pytest.approx(4e-3)
    assert estimator.estimate.samples >= 47


def test_jitter_and_outliers_hardly_move_the_median():
    rng = random.Random(3)
    thermal = every(33 * MS, 400, S)
    rgb = [t + 6 * MS + rng.randint(-2 * MS, 2 * MS) for t in thermal]
    rgb[::17] = [r + 9 * MS for r in rgb[::17]]
    estimator = OffsetEstimator()
    feed(estimator, thermal, rgb)
    assert estimator.estimate is not None
    assert estimator.estimate.offset_s == pytest.approx(6e-3, abs=4e-4)


def test_drift_of_50_parts_per_million_is_seen():
    thermal = every(33 * MS, 600, S)
    rgb = [round(t + (t - S) * 50e-6) for t in thermal]
    estimator = OffsetEstimator()
    feed(estimator, thermal, rgb)
    assert estimator.estimate is not None
    assert estimator.estimate.drift_s_per_s == pytest.approx(50e-6, rel=0.02)


def test_estimate_follows_the_last_window():
    estimator = OffsetEstimator(window=20)
    feed(estimator, every(33 * MS, 50, S), every(33 * MS, 50, S + 2 * MS))
    feed(estimator, every(33 * MS, 50, 9 * S), every(33 * MS, 50, 9 * S + 8 * MS))
    assert estimator.estimate is not None
    assert estimator.estimate.offset_s == pytest.approx(8e-3)
    assert estimator.estimate.samples == 20


def test_nothing_is_known_of_one_stream_alone_and_nothing_grows():
    estimator = OffsetEstimator()
    for stamp in every(33 * MS, 10_000):
        estimator.push('thermal', stamp)
    assert estimator.estimate is None


def test_single_difference_has_no_drift():
    estimator = OffsetEstimator()
    feed(estimator, [20, 50, 80], [10, 53, 90])
    assert estimator.estimate == OffsetEstimate(pytest.approx(3e-9), None, 1)


def test_repeated_and_earlier_stamps_are_ignored():
    estimator = OffsetEstimator()
    for i in range(30):
        for stamp in (i * 33 * MS, i * 33 * MS, i * 33 * MS - 500 * MS):
            estimator.push('thermal', stamp)
            estimator.push('rgb', stamp + 5 * MS)
    assert estimator.estimate is not None
    assert estimator.estimate.offset_s == pytest.approx(5e-3)


def test_reset_forgets_both_streams():
    estimator = OffsetEstimator()
    feed(estimator, every(33 * MS, 50, 9 * S), every(33 * MS, 50, 9 * S))
    estimator.reset()
    assert estimator.estimate is None
    feed(estimator, every(33 * MS, 50), every(33 * MS, 50, 2 * MS))
    assert estimator.estimate is not None
    assert estimator.estimate.offset_s == pytest.approx(2e-3)


STAMPS = st.lists(st.integers(0, 10_000), min_size=1, max_size=30, unique=True).map(sorted)


@settings(deadline=None)
@given(thermal=STAMPS, rgb=STAMPS)
def test_differences_are_those_of_mutual_nearest_stamps(thermal, rgb):
    estimator = OffsetEstimator(window=100)
    feed(estimator, thermal, rgb)
    found = {d for _, d in estimator._samples}
    mutual = set()
    enclosed = set()
    end = min(thermal[-1], rgb[-1])  # beyond it the streams cannot be put in order yet
    for t in thermal:
        for r in rgb:
            d = abs(r - t)
            if all(abs(o - t) >= d for o in rgb) and all(abs(r - o) >= d for o in thermal):
                mutual.add(r - t)
                older, younger = (thermal, rgb) if t <= r else (rgb, thermal)
                before = any(o < min(t, r) for o in younger)
                after = any(max(t, r) < o <= end for o in older)
                if before and after:
                    enclosed.add(r - t)
    assert found <= mutual
    if len({abs(r - t) for t in thermal for r in rgb}) == len(thermal) * len(rgb):  # no ties
        assert enclosed <= found


def test_unknown_modality_is_refused():
    with pytest.raises(SynchroniseError, match="found modality 'lidar'"):
        OffsetEstimator().push('lidar', 1)  # type: ignore[arg-type]


def test_window_of_too_few_is_refused():
    with pytest.raises(ConfigError, match='found window 2, expected at least 3'):
        OffsetEstimator(2)
