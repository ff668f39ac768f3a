"""Two cameras in training: one missing, or not quite registered."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose

from training.augment import AugmentConfig, dropped_camera, misregistered

MATRIX = np.array([[1.25, 0, -10.0], [0, 1.25, 5.0]])


def test_cameras_are_missing_as_often_as_told_and_never_both():
    config = AugmentConfig(drop_thermal=0.1, drop_rgb=0.3)
    rng = np.random.default_rng(0)
    drawn = [dropped_camera(config, rng) for _ in range(4000)]
    assert abs(drawn.count('thermal') / 4000 - 0.1) < 0.02
    assert abs(drawn.count('rgb') / 4000 - 0.3) < 0.03
    assert drawn.count(None) > 2200


def test_no_misregistration_is_the_map_itself():
    found = misregistered(MATRIX, (96, 112), AugmentConfig(), np.random.default_rng(0))
    assert_allclose(found, MATRIX, atol=1e-12)


def test_a_shift_moves_every_pixel_alike_and_within_its_limit():
    config = AugmentConfig(misregister_px=6.0)
    for seed in range(20):
        found = misregistered(MATRIX, (96, 112), config, np.random.default_rng(seed))
        assert_allclose(found[:, :2], MATRIX[:, :2])
        assert np.abs(found[:, 2] - MATRIX[:, 2]).max() <= 6


def test_turning_and_stretching_keep_the_middle_of_the_sample():
    config = AugmentConfig(misregister_deg=5.0, misregister_zoom=0.1)
    source_of_middle = np.linalg.solve(MATRIX[:, :2], [56.0, 48.0] - MATRIX[:, 2])
    for seed in range(20):
        found = misregistered(MATRIX, (96, 112), config, np.random.default_rng(seed))
        assert_allclose(found[:, :2] @ source_of_middle + found[:, 2], [56, 48], atol=1e-9)
        scale = np.sqrt(np.linalg.det(found[:, :2])) / 1.25
        turned = np.degrees(np.arctan2(found[1, 0], found[0, 0]))
        assert 0.9 <= scale <= 1.1
        assert abs(turned) <= 5
