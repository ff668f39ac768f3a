"""Grids and perspectives: points by hand, and pixels, labels and boxes that follow them."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
import pytest

from thermal_perception.errors import ConfigError
from training.augment import AugmentConfig, warp_boxes, warp_image, warp_mask
from training.augment.bend import draw_bend, GridBend, PerspectiveBend

SIZE = (4, 8)
ROWS = np.array([0.0, 4.0])
# Six columns are squeezed to two, the other two widened to six.
SQUEEZED = GridBend((np.array([0.0, 6.0, 8.0]), ROWS), (np.array([0.0, 2.0, 8.0]), ROWS))
PLAIN = np.eye(2, 3)


def test_points_between_the_knots_of_a_grid():
    points = np.array([[3.0, 1.0], [6.0, 0.0], [7.0, 4.0]])
    shown = np.array([[1.0, 1.0], [2.0, 0.0], [5.0, 4.0]])
    assert_allclose(SQUEEZED.forward(points), shown)
    assert_allclose(SQUEEZED.back(shown), points)


def test_points_in_another_perspective():
    bend = PerspectiveBend(np.array([[1.0, 0, 0], [0, 1.0, 0], [0, 1 / 8, 1.0]]))
    assert_allclose(bend.forward(np.array([[8.0, 8.0], [3.0, 0.0]])), [[4, 4], [3, 0]])
    assert_allclose(bend.back(np.array([[4.0, 4.0], [3.0, 0.0]])), [[8, 8], [3, 0]])


def test_labels_and_pixels_are_taken_from_the_same_places():
    columns = np.tile(np.arange(8), (4, 1))
    # The middles of the columns shown lie at 1.5, 4.5, 6.17, 6.5, 6.83, 7.17, 7.5 and 7.83.
    mask = warp_mask(columns.astype(np.uint8), PLAIN, SIZE, SQUEEZED)
    assert_array_equal(mask, [[1, 4, 6, 6, 6, 7, 7, 7]] * 4)
    image = warp_image(columns.astype(np.float32), PLAIN, SIZE, SQUEEZED)
    assert_allclose(image[:, :7], [[1, 4, 5.67, 6, 6.33, 6.67, 7]] * 4, atol=0.03)


def test_a_bend_comes_after_the_view_and_what_that_leaves_out_is_unknown():
    shifted = np.array([[1.0, 0, 6.0], [0, 1.0, 0]])  # the first two columns, on the right
    mask = warp_mask(np.full(SIZE, 3, np.uint8), shifted, SIZE, SQUEEZED)
    assert_array_equal(mask, [[255, 255, 3, 3, 3, 3, 3, 3]] * 4)
    image = warp_image(np.ones(SIZE, np.float32), shifted, SIZE, SQUEEZED)
    assert_array_equal(image[:, :2], 0)


def test_boxes_follow_the_columns_of_a_grid():
    boxes = np.array([[3.0, 1.0, 7.0, 3.0], [-4.0, 0.0, 4.0, 4.0], [8.0, 0.0, 9.0, 4.0]])
    moved, visible = warp_boxes(boxes.astype(np.float32), PLAIN, SIZE, SQUEEZED)
    assert_allclose(moved[:2], [[1, 1, 5, 3], [0, 0, 4 / 3, 4]], rtol=1e-6)
    assert_allclose(visible, [1, 0.5, 0])


def test_a_bend_that_is_off_draws_nothing():
    rng, other = np.random.default_rng(0), np.random.default_rng(0)
    assert draw_bend(AugmentConfig(), (96, 112), rng) is None
    assert rng.random() == other.random()


def test_bends_are_of_both_kinds_fill_the_sample_and_stay_within_their_limits():
    config = AugmentConfig(bend=1.0, bend_steps=5, bend_grid=0.3, bend_perspective=0.1)
    corners = np.array([[0.0, 0.0], [112.0, 0.0], [112.0, 96.0], [0.0, 96.0]])
    kinds = set()
    for seed in range(20):
        bend = draw_bend(config, (96, 112), np.random.default_rng(seed))
        kinds.add(type(bend))
        taken = bend.back(corners)
        assert (np.abs(taken - corners) <= [11.2 + 1e-3, 9.6 + 1e-3]).all()
        assert (taken >= -1e-3).all()
        assert (taken <= [112 + 1e-3, 96 + 1e-3]).all()
        if isinstance(bend, GridBend):
            assert_allclose(taken, corners, atol=1e-9)
            for knots in bend.shown:
                widths = np.diff(knots)
                assert len(widths) == 5
                assert widths.max() / widths.min() <= 1.3 / 0.7
    assert kinds == {GridBend, PerspectiveBend}


@pytest.mark.parametrize(
    ('option', 'message'),
    [
        ({'bend_steps': 0}, 'bend_steps: found 0, expected at least 1'),
        ({'bend_grid': 1.0}, r'bend_grid: found 1\.0, expected 0 or more, below 1\.0'),
        ({'bend_perspective': 0.5}, r'bend_perspective: found 0\.5, .* below 0\.5'),
    ],
)
def test_bends_that_would_fold_a_sample_are_refused(option, message):
    with pytest.raises(ConfigError, match=message):
        AugmentConfig(**option)
