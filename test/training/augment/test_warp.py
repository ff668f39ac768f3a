"""One map moves all: a marker is rendered through it and found again."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.testing import assert_allclose
import pytest

from training.augment import warp_boxes, warp_flow, warp_image, warp_mask, warp_oriented
from training.datasets import corners_of_boxes


def test_identity_leaves_the_image_and_half_a_pixel_moves_it_by_half():
    image = np.random.default_rng(0).random((6, 8), dtype=np.float32)
    identity = np.array([[1.0, 0, 0], [0, 1.0, 0]])
    assert_allclose(warp_image(image, identity, (6, 8)), image, atol=1e-6)
    shifted = warp_image(image, np.array([[1.0, 0, 0.5], [0, 1.0, 0]]), (6, 8))
    assert_allclose(shifted[:, 1:], (image[:, 1:] + image[:, :-1]) / 2, atol=1e-2)


def test_shrinking_averages_instead_of_picking_pixels():
    stripes = np.tile(np.array([0.0, 1.0], np.float32), (64, 32))
    quarter = warp_image(stripes, np.array([[0.25, 0, 0], [0, 0.25, 0]]), (16, 16))
    assert_allclose(quarter[4:-4, 4:-4], 0.5, atol=0.05)


def test_boxes_are_clipped_and_the_share_that_is_left_is_known():
    boxes = np.array([[0, 0, 10, 10], [-5, 0, 5, 10], [30, 30, 40, 40]], np.float32)
    moved, visible = warp_boxes(boxes, np.array([[1.0, 0, 0], [0, 1.0, -5]]), (20, 20))
    assert_allclose(moved[:2], [[0, 0, 10, 5], [0, 0, 5, 5]])
    assert_allclose(visible, [0.5, 0.25, 0.0])


def test_no_boxes_stay_no_boxes():
    moved, visible = warp_boxes(np.zeros((0, 4), np.float32), np.eye(2, 3), (20, 20))
    assert (moved.shape, visible.shape) == ((0, 4), (0,))


MAPS = {
    'zoom and shift': np.array([[1.5, 0, -20.0], [0, 1.5, 8.0]]),
    'left and right': np.array([[-1.0, 0, 160.0], [0, 1.0, 0]]),
    'up and down, smaller': np.array([[0.8, 0, 10.0], [0, -0.8, 110.0]]),
    'a quarter turn': np.array([[0, -1.0, 130.0], [1.0, 0, -10.0]]),
    'a little turn': np.array([[0.966, -0.259, 30.0], [0.259, 0.966, -15.0]]),
}
every_map = pytest.mark.parametrize('matrix', MAPS.values(), ids=MAPS.keys())
SIZE = (120, 160)


@every_map
def test_a_mask_moves_with_the_image(matrix):
    image = np.zeros(SIZE, np.float32)
    cv2.fillPoly(image, [np.array([[50, 40], [90, 46], [70, 80]])], 1.0)
    mask = warp_mask(image.astype(np.uint8) * 7, matrix, SIZE)
    moved = warp_image(image, matrix, SIZE)
    known = mask != 255
    assert (mask[moved > 0.9] == 7).all()
    assert (mask[known & (moved < 0.1)] == 0).all()
    assert (moved[~known] < 0.5).all()


def test_what_a_mask_does_not_cover_is_unknown():
    mask = warp_mask(np.zeros((4, 4), np.uint8), np.array([[1.0, 0, 2], [0, 1.0, 0]]), (4, 4))
    assert mask.tolist() == [[255, 255, 0, 0]] * 4


@every_map
def test_an_oriented_box_moves_with_the_image(matrix):
    box = np.array([[80.0, 60.0, 40.0, 14.0, 0.5]], np.float32)
    image = np.zeros(SIZE, np.float32)
    cv2.fillConvexPoly(image, corners_of_boxes(box)[0].round().astype(np.int32), 1.0)
    moved = warp_oriented(box, matrix)
    expected = np.zeros(SIZE, np.float32)
    cv2.fillConvexPoly(expected, corners_of_boxes(moved)[0].round().astype(np.int32), 1.0)
    found = warp_image(image, matrix, SIZE) > 0.5
    both = (found & (expected > 0.5)).sum()
    assert both / (found | (expected > 0.5)).sum() > 0.85
    assert -np.pi / 2 <= moved[0, 4] < np.pi / 2
    assert moved[0, 2] >= moved[0, 3]


def test_no_oriented_boxes_stay_none():
    assert warp_oriented(np.zeros((0, 5), np.float32), np.eye(2, 3)).shape == (0, 5)


@every_map
def test_flow_still_points_at_the_same_thing(matrix):
    # The thing at p in one image is at p + flow in the other; both are warped alike.
    start, step = np.array([70.0, 55.0]), np.array([12.0, -6.0])
    flow = np.broadcast_to(step.astype(np.float32), (*SIZE, 2)).copy()
    moved = warp_flow(flow, matrix, SIZE)
    where = matrix[:, :2] @ start + matrix[:, 2]
    there = matrix[:, :2] @ (start + step) + matrix[:, 2]
    column, row = where.astype(int)
    assert_allclose(where + moved[row, column], there, atol=1e-3)


def test_colour_is_warped_like_grey():
    image = np.random.default_rng(0).random((20, 30, 3), np.float32)
    matrix = np.array([[1.2, 0, 1.0], [0, 1.2, -2.0]])
    moved = warp_image(image, matrix, (24, 30))
    for channel in range(3):
        plane = np.ascontiguousarray(image[..., channel])
        assert_allclose(moved[..., channel], warp_image(plane, matrix, (24, 30)), atol=1e-6)
