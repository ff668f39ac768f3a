"""Intervals and paired comparisons: known spreads, coverage of the p-value, units, edges."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
import pytest

from thermal_perception.errors import MetricError
from thermal_perception.evaluation.bootstrap import (
    bootstrap,
    compare_per_image,
    difference,
    interval,
    resample_weights,
    weighted_mean,
)


def test_every_draw_has_as_many_images_as_the_set_and_repeats_for_a_seed():
    draws = np.array(list(resample_weights(7, 50, seed=3)))
    assert draws.shape == (50, 7)
    assert_array_equal(draws.sum(axis=1), 7)
    assert_array_equal(draws, list(resample_weights(7, 50, seed=3)))
    assert (draws != list(resample_weights(7, 50, seed=4))).any()


def test_images_of_one_unit_are_drawn_together():
    for weights in resample_weights(['a', 'b', 'a', 'b', 'c'], 20, seed=0):
        assert weights[0] == weights[2]
        assert weights[1] == weights[3]
        assert weights[0] + weights[1] + weights[4] == 3


def test_no_image_is_refused():
    with pytest.raises(MetricError, match='found no image'):
        next(resample_weights(0, 1, seed=0))


def test_interval_of_a_mean_is_two_standard_errors_wide():
    values = np.random.default_rng(0).normal(5, 2, (400, 1))
    samples = bootstrap(lambda w: weighted_mean(values, w), 400, resamples=2000)
    bounds = interval(samples[:, 0])
    error = values.std() / 20
    assert_allclose(
        [bounds.low, bounds.high], values.mean() + np.array([-1.96, 1.96]) * error, atol=0.03
    )


def test_interval_leaves_out_what_is_unknown():
    assert interval(np.array([np.nan, 1.0, np.nan, 1.0])).low == 1
    assert interval(np.array([np.nan])) is None


def test_p_value_counts_the_draws_on_the_other_side_of_zero():
    # 3 of 99 draws at or below zero: 2 * (3 + 1) / (99 + 1).
    samples = np.r_[-np.ones(2), 0, np.ones(96)]
    judged = difference(0.9, samples)
    assert judged.p_value == pytest.approx(0.08)
    assert not judged.real
    assert difference(1.0, np.ones(99)).p_value == pytest.approx(0.02)
    assert difference(1.0, np.ones(99)).real


def test_equal_runs_do_not_differ():
    judged = compare_per_image(np.arange(5.0), np.arange(5.0), resamples=100)
    assert (judged.estimate, judged.p_value, judged.real) == (0, 1, False)


def test_pairing_shows_a_small_gain_on_images_of_very_different_difficulty():
    rng = np.random.default_rng(1)
    first = rng.normal(0, 10, 100)
    second = first + 0.5 + rng.normal(0, 0.5, 100)
    judged = compare_per_image(first, second, resamples=1000)
    assert judged.real
    assert judged.p_value == pytest.approx(2 / 1001)
    assert judged.estimate == pytest.approx((second - first).mean())
    # Unpaired the gain drowns: the mean of either run is known to about 1 only.
    assert (
        interval(
            bootstrap(lambda w: weighted_mean(second[:, None], w), 100, resamples=200)[:, 0]
        ).low
        < first.mean()
    )


def test_runs_without_a_difference_are_called_different_in_about_5_per_cent():
    rng = np.random.default_rng(2)
    called = [
        compare_per_image(*rng.normal(0, 1, (2, 60)), resamples=100, seed=n).real
        for n in range(200)
    ]
    assert 0.01 < np.mean(called) < 0.10


def test_images_that_repeat_each_other_do_not_make_a_result_surer():
    rng = np.random.default_rng(3)
    gains, scenes = np.repeat(rng.normal(0.3, 1, 30), 10), np.repeat(np.arange(30), 10)
    naive = compare_per_image(np.zeros(300), gains, resamples=500)
    by_scene = compare_per_image(np.zeros(300), gains, units=scenes.tolist(), resamples=500)
    width = [d.interval.high - d.interval.low for d in (naive, by_scene)]
    assert width[1] / width[0] == pytest.approx(np.sqrt(10), rel=0.2)


def test_runs_on_different_images_are_refused():
    with pytest.raises(MetricError, match=r'found \(3,\) and \(4,\) figures'):
        compare_per_image(np.zeros(3), np.zeros(4), resamples=10)


def test_figures_that_an_image_does_not_have_are_left_out_of_its_mean():
    values = np.array([[1.0, np.nan], [3.0, 4.0], [np.nan, np.nan]])
    assert_allclose(weighted_mean(values), [2, 4])
    assert_allclose(weighted_mean(values, np.array([3, 1, 5])), [1.5, 4])
    assert np.isnan(weighted_mean(values, np.array([1, 0, 0]))[1])
    assert compare_per_image(np.array([np.nan]), np.array([1.0]), resamples=5) is None
