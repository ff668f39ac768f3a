from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose
import pytest

from training.datasets import corners_of_boxes
from training.datasets.oriented import box_of_corners

ROOT2 = np.sqrt(2)


@pytest.mark.parametrize(
    ('corners', 'box'),
    [
        pytest.param((0, 0, 10, 0, 10, 4, 0, 4), (5, 2, 10, 4, 0), id='lying'),
        pytest.param((0, 0, 4, 0, 4, 10, 0, 10), (2, 5, 10, 4, -np.pi / 2), id='standing'),
        pytest.param(
            (0, 0, 6, 6, 4, 8, -2, 2), (2, 4, 6 * ROOT2, 2 * ROOT2, np.pi / 4), id='falling'
        ),
        pytest.param(
            (0, 8, 6, 2, 8, 4, 2, 10), (4, 6, 6 * ROOT2, 2 * ROOT2, -np.pi / 4), id='rising'
        ),
    ],
)
def test_the_angle_is_that_of_the_long_side_from_x_towards_y(corners, box):
    assert_allclose(box_of_corners(corners), box, atol=1e-5)
    turned = corners[2:] + corners[:2]
    assert_allclose(box_of_corners(turned), box, atol=1e-5)  # the first corner does not matter


def test_corners_turn_with_the_angle():
    boxes = np.array([[5, 2, 10, 4, 0], [2, 5, 10, 4, np.pi / 2]], np.float32)
    flat, standing = corners_of_boxes(boxes)
    assert_allclose(flat, [[0, 0], [10, 0], [10, 4], [0, 4]], atol=1e-5)
    assert_allclose(standing, [[4, 0], [4, 10], [0, 10], [0, 0]], atol=1e-5)


def test_no_box_has_no_corners():
    assert corners_of_boxes(np.zeros((0, 5), np.float32)).shape == (0, 4, 2)


def test_corners_become_the_same_box_again():
    rng = np.random.default_rng(0)
    sides = np.sort(rng.uniform(3, 40, (50, 2)))[:, ::-1]
    angles = rng.uniform(-np.pi / 2, np.pi / 2, (50, 1))
    boxes = np.concatenate((rng.uniform(0, 600, (50, 2)), sides, angles), 1).astype(np.float32)
    again = np.array([box_of_corners(c.ravel()) for c in corners_of_boxes(boxes)])
    assert_allclose(again[:, :4], boxes[:, :4], atol=1e-3)
    assert_allclose(np.sin(2 * (again - boxes)[:, 4]), 0, atol=1e-2)
