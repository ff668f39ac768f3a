"""Drift, noise and patterns of a thermal camera, each alone."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose
import pytest

from training.augment import AugmentConfig, jitter_intensity
from training.augment.thermal import drift, fixed_pattern, slow_shading

PLAIN = {
    'gain': (1.0, 1.0),
    'offset': (0.0, 0.0),
    'gamma': (1.0, 1.0),
    'noise': 0.0,
    'blur': 0.0,
}


def changed(image, seed=0, **options):
    config = AugmentConfig(**{**PLAIN, **options})
    return jitter_intensity(image.copy(), config, np.random.default_rng(seed))


def test_intensities_stay_in_the_unit_interval_and_their_order_is_kept_without_noise():
    config = AugmentConfig(noise=0.0, blur=0.0)
    ramp = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)
    for seed in range(20):
        changed = jitter_intensity(ramp.copy(), config, np.random.default_rng(seed))
        assert changed.min() >= 0
        assert changed.max() <= 1
        assert (np.diff(changed.ravel()) >= -1e-6).all()


def test_intensity_is_gain_times_power_plus_offset():
    config = AugmentConfig(
        gain=(0.5, 0.5), offset=(0.1, 0.1), gamma=(2.0, 2.0), noise=0.0, blur=0.0
    )
    image = np.full((2, 2), 0.6, np.float32)
    changed = jitter_intensity(image, config, np.random.default_rng(0))
    assert_allclose(changed, 0.5 * 0.36 + 0.1, atol=1e-6)


def test_drift_leaves_at_most_a_twentieth_of_the_pixels_white():
    # A street by day: a quarter cold sky, the rest between 0.7 and 0.95.
    image = np.linspace(0.7, 0.95, 400 * 400, dtype=np.float32).reshape(400, 400)
    image[:100] = 0.1
    drift(image, 1.2, 0.1)
    assert (image > 1).mean() == pytest.approx(0.05, abs=0.01)
    # The gain shrinks to 1 / (0.9375 - 0.1), which puts the sky on black.
    assert image.min() == pytest.approx(0.0, abs=0.01)


def test_drift_darkens_a_dark_picture_only_to_black():
    image = np.linspace(0, 0.2, 400 * 400, dtype=np.float32).reshape(400, 400)
    drift(image, 1.0, -0.1)
    assert (image < 0).mean() == pytest.approx(0.05, abs=0.01)
    assert image.max() == pytest.approx(0.19, abs=0.01)  # the offset shrinks from 0.1 to 0.01


def test_nothing_turned_on_changes_nothing():
    image = np.random.default_rng(1).random((20, 30), np.float32)
    assert_allclose(changed(image), image, atol=1e-7)


def test_polarity_makes_hot_dark():
    image = np.array([[0.0, 0.25, 1.0]], np.float32)
    assert_allclose(changed(image, polarity=1.0), [[1.0, 0.75, 0.0]], atol=1e-7)


def test_turning_an_effect_on_leaves_the_draws_of_the_others():
    image = np.full((8, 8), 0.5, np.float32)
    drifting = AugmentConfig(fixed_pattern=0.0, noise=0.0, blur=0.0)
    inverted = AugmentConfig(polarity=1.0, noise=0.0, blur=0.0)
    for seed in range(5):
        one = jitter_intensity(image.copy(), drifting, np.random.default_rng(seed))
        other = jitter_intensity(image.copy(), inverted, np.random.default_rng(seed))
        assert_allclose(other, 1 - one, atol=1e-6)


def test_a_fixed_pattern_is_made_of_columns_rows_and_pixels():
    pattern = fixed_pattern((400, 500), np.random.default_rng(0))
    assert pattern.std() == pytest.approx(1.0, abs=0.1)
    assert pattern.mean(0).std() == pytest.approx(0.75, abs=0.1)
    assert pattern.mean(1).std() == pytest.approx(0.4, abs=0.1)


def test_shading_is_smooth_and_stays_within_its_amplitude():
    shading = slow_shading((512, 640), np.random.default_rng(0))
    assert np.abs(shading).max() <= 1
    assert shading.std() > 0.1
    assert np.abs(np.diff(shading, axis=0)).max() < 0.03
    image = np.full((64, 80), 0.5, np.float32)
    assert 0 < np.abs(changed(image, shading=0.2) - 0.5).max() <= 0.2


def test_noise_has_at_most_the_standard_deviation_asked_for():
    image = np.full((200, 200), 0.5, np.float32)
    spreads = [changed(image, seed, noise=0.02).std() for seed in range(20)]
    assert max(spreads) < 0.021
    assert max(spreads) > 0.015
