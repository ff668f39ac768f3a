"""Light of colour pictures, each effect alone and by hand."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose
import pytest

from training.augment import AugmentConfig, vary_light
from training.augment.light import adjusted, local_contrast

RED, CYAN = (0.8, 0.0, 0.0), (0.0, 0.8, 0.8)


def pixels(*values):
    """Return a row of pixels: R, G, B of each, or one value for a grey."""
    return np.array([np.broadcast_to(value, 3) for value in values], np.float32)[None]


@pytest.mark.parametrize(
    ('image', 'change', 'expected'),
    [
        pytest.param(pixels(0.4, 0.9), {'brightness': 1.5}, pixels(0.6, 1.0), id='brightness'),
        pytest.param(pixels(0.2, 0.6), {'contrast': 0.5}, pixels(0.3, 0.5), id='contrast'),
        pytest.param(
            pixels((1, 0, 0), (0, 1, 0)), {'saturation': 0.0}, pixels(0.299, 0.587), id='grey'
        ),
        pytest.param(pixels(RED), {'hue': 0.5}, pixels(CYAN), id='opposite hue'),
        pytest.param(pixels(RED), {'hue': -1 / 3}, pixels((0, 0, 0.8)), id='a third back'),
    ],
)
def test_a_picture_is_adjusted(image, change, expected):
    assert_allclose(adjusted(image, **change), expected, atol=1e-5)


def test_light_that_is_off_changes_nothing_and_draws_nothing():
    rng, other = np.random.default_rng(0), np.random.default_rng(0)
    image = pixels(0.2, RED)
    assert vary_light(image, AugmentConfig(), rng) is image
    assert rng.random() == other.random()


def test_jitter_stays_within_its_limits_and_reaches_both_sides():
    config = AugmentConfig(
        rgb_jitter=1.0, rgb_brightness=0.4, rgb_contrast=0.0, rgb_saturation=0.0, rgb_hue=0.0
    )
    factors = [
        vary_light(pixels(0.5), config, np.random.default_rng(seed))[0, 0, 0] / 0.5
        for seed in range(40)
    ]
    assert 0.6 <= min(factors) < 0.7
    assert 1.3 < max(factors) <= 1.4


def test_levels_are_values_times_contrast_plus_brightness_of_one_of_the_rows():
    rows = ((-0.3, -0.3, 0.2, 0.2), (0.1, 0.1, 0.0, 0.0))
    config = AugmentConfig(rgb_levels=1.0, rgb_levels_of=rows)
    found = {
        round(float(vary_light(pixels(0.5), config, np.random.default_rng(seed))[0, 0, 0]), 4)
        for seed in range(20)
    }
    assert found == {0.3, 0.6}  # 0.5 x 1.2 - 0.3, and 0.5 + 0.1


def test_published_levels_darken_more_often_than_not():
    config = AugmentConfig(rgb_levels=1.0)
    values = [
        vary_light(pixels(0.5), config, np.random.default_rng(seed)).mean() for seed in range(200)
    ]
    assert np.median(values) < 0.35
    assert min(values) == 0


def test_local_contrast_lifts_a_faint_edge_and_leaves_greys_grey():
    image = np.full((64, 64, 3), 0.4, np.float32)
    image[:, 28:] = 0.44  # within a tile of 8 columns
    lifted = local_contrast(image)
    assert lifted[32, 29, 0] - lifted[32, 26, 0] > 0.05
    assert np.ptp(lifted, axis=2).max() <= 2 / 255
    again = vary_light(image, AugmentConfig(rgb_clahe=1.0), np.random.default_rng(0))
    assert_allclose(again, lifted)


def test_effects_happen_as_often_as_told():
    config = AugmentConfig(rgb_levels=0.3, rgb_levels_of=((0.1, 0.1, 0.0, 0.0),))
    changed = sum(
        vary_light(pixels(0.5), config, np.random.default_rng(seed))[0, 0, 0] > 0.55
        for seed in range(500)
    )
    assert 120 <= changed <= 180
