"""What spoils the picture of a colour camera."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
import pytest

from training.augment import AugmentConfig, jitter_colour
from training.augment.colour import moved

PLAIN = {
    'blur': 0.0,
    'rgb_gain': (1.0, 1.0),
    'rgb_gamma': (1.0, 1.0),
    'rgb_balance': 0.0,
    'rgb_noise': 0.0,
}


@pytest.mark.parametrize(
    ('angle_deg', 'rows', 'columns'),
    [
        pytest.param(0, [2, 2, 2], [1, 2, 3], id='across'),
        pytest.param(90, [1, 2, 3], [2, 2, 2], id='down'),
        pytest.param(45, [1, 2, 3], [1, 2, 3], id='down and across'),
        pytest.param(135, [1, 2, 3], [3, 2, 1], id='down and back'),
    ],
)
def test_motion_spreads_a_point_over_a_line_of_three_pixels(angle_deg, rows, columns):
    image = np.zeros((5, 5, 3), np.float32)
    image[2, 2] = 0.9
    expected = np.zeros((5, 5, 3), np.float32)
    expected[rows, columns] = 0.3
    assert_allclose(moved(image, angle_deg), expected, atol=1e-6)


def test_noise_motion_and_medians_spoil_alike_often():
    flat = np.full((40, 40, 3), 0.5, np.float32)
    flat[20, 20] = 1.0  # a median takes it away, a motion spreads it
    config = AugmentConfig(**PLAIN, rgb_spoil=1.0, rgb_spoil_noise=(0.02, 0.03))
    ways = []
    for seed in range(90):
        spoilt = jitter_colour(flat.copy(), config, np.random.default_rng(seed))
        around = np.delete(spoilt.ravel(), np.s_[3 * 820 - 300 : 3 * 820 + 300])
        if around.std() > 1e-3:
            assert 0.019 < around.std() < 0.031
            ways.append('noise')
        else:
            ways.append('median' if spoilt.max() < 0.51 else 'motion')
    assert {way: ways.count(way) > 15 for way in ways} == dict.fromkeys(
        ('noise', 'median', 'motion'), True
    )


def test_what_is_off_changes_nothing():
    image = np.random.default_rng(1).random((8, 8, 3), np.float32)
    changed = jitter_colour(image.copy(), AugmentConfig(**PLAIN), np.random.default_rng(0))
    assert_array_equal(changed, image)
