"""What a sample shows: crops, zoom and flips, and boxes that follow."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose
import pytest

from training.augment import AugmentConfig, draw_view, warp_boxes, warp_image
from training.augment.views import about_middle

SIZE = (120, 160)
MARKER = np.array([[60.0, 40.0, 84.0, 56.0]], np.float32)


def marked_image():
    image = np.zeros(SIZE, np.float32)
    x1, y1, x2, y2 = MARKER[0].astype(int)
    image[y1:y2, x1:x2] = 1.0
    return image


def bounds(image):
    """Return the box of what is bright, to a fraction of a pixel, from the summed intensities."""
    bright = image > 0.5
    rows, columns = np.flatnonzero(bright.any(1)), np.flatnonzero(bright.any(0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float32)


CROP = AugmentConfig(crop_size=(96, 112), vertical_flip=0.5)
CROP_AT_ONE = AugmentConfig(crop_size=(96, 112), zoom=(1.0, 1.0))
WHOLE = AugmentConfig(crop_size=None, short_sides=(60, 90, 240), vertical_flip=0.5)
DETR_CROP = AugmentConfig(crop_size=None, short_sides=(90, 240), crop_aug=1.0)


@pytest.mark.parametrize('config', [CROP, WHOLE, DETR_CROP], ids=['crop', 'whole', 'DETR crop'])
def test_boxes_follow_the_pixels_to_within_one_pixel(config):
    compared = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        view = draw_view(config, SIZE, MARKER, np.ones(1), rng)
        boxes, visible = warp_boxes(MARKER, *view)
        image = warp_image(marked_image(), *view)
        assert image.shape == view.size
        if visible[0] > 0.6:
            assert_allclose(bounds(image), boxes[0], atol=1.0)
            compared += 1
    assert compared > 20


@pytest.mark.parametrize('change', [{'turn': 1.0}, {'bend': 1.0}], ids=['turned', 'bent'])
def test_boxes_become_the_hulls_of_what_is_turned_or_bent(change):
    config = AugmentConfig(crop_size=(96, 112), **change)
    compared = 0
    for seed in range(60):
        view = draw_view(config, SIZE, MARKER, np.ones(1), np.random.default_rng(seed))
        boxes, visible = warp_boxes(MARKER, *view)
        image = warp_image(marked_image(), *view)
        if visible[0] > 0.999:
            assert_allclose(bounds(image), boxes[0], atol=1.6)  # sharp corners are not bright
            compared += 1
    assert compared > 20


def test_a_quarter_turn_about_the_middle_by_hand():
    matrix = about_middle(np.eye(2, 3), (4, 6), angle_deg=90)
    # (0, 0) is (-3, -2) from the middle (3, 2); x turns to y: (2, -3) from it.
    assert_allclose(matrix @ [0, 0, 1], [5, -1], atol=1e-12)
    shifted = about_middle(np.eye(2, 3), (4, 6), angle_deg=90, zoom=2, shift_px=np.array([1, 0]))
    assert_allclose(shifted @ [0, 0, 1], [8, -4], atol=1e-12)


def test_a_turn_keeps_the_middle_and_the_zoom_and_stays_within_its_limit():
    config = AugmentConfig(crop_size=(96, 112), turn=1.0, turn_deg=15.0, zoom=(1.0, 1.0))
    angles = []
    for seed in range(30):
        view = draw_view(config, SIZE, MARKER, np.ones(1), np.random.default_rng(seed))
        still = draw_view(CROP_AT_ONE, SIZE, MARKER, np.ones(1), np.random.default_rng(seed))
        middle = np.linalg.solve(still.matrix[:, :2], [56, 48] - still.matrix[:, 2])
        assert_allclose(view.matrix @ [*middle, 1], [56, 48], atol=1e-9)
        turn = view.matrix[:, :2] @ np.linalg.inv(still.matrix[:, :2])
        assert_allclose(turn @ turn.T, np.eye(2), atol=1e-9)
        angles.append(np.degrees(np.arctan2(turn[1, 0], turn[0, 0])))
    assert np.abs(angles).max() <= 15
    assert np.min(angles) < -5
    assert np.max(angles) > 5


def test_a_crop_keeps_its_size_and_zoom_and_shows_no_less_of_the_image_than_it_can():
    for seed in range(40):
        view = draw_view(CROP, SIZE, MARKER, np.ones(1), np.random.default_rng(seed))
        assert view.size == (96, 112)
        back = np.linalg.inv(view.matrix[:, :2])
        shown = np.sort((np.array([[0, 0], [112, 96]]) - view.matrix[:, 2]) @ back.T, axis=0)
        for low, high, side in zip(*shown, (160, 120)):
            within, beyond = low >= -1e-6 and high <= side + 1e-6, low < 0 and high > side
            assert within or beyond
        zoom = np.abs(np.diag(view.matrix))
        assert zoom[0] == zoom[1]
        assert 0.75 <= zoom[0] <= 1.4


@pytest.mark.parametrize(('axis', 'flip'), [(0, 'horizontal_flip'), (1, 'vertical_flip')])
@pytest.mark.parametrize('probability', [0.0, 1.0])
def test_flips_happen_as_often_as_told(axis, flip, probability):
    for crop_size in ((96, 112), None):
        flips = {'horizontal_flip': 0.0, 'vertical_flip': 0.0, flip: probability}
        config = AugmentConfig(crop_size=crop_size, **flips)
        view = draw_view(config, SIZE, MARKER, np.ones(1), np.random.default_rng(0))
        assert (view.matrix[axis, axis] < 0) == bool(probability)
        assert view.matrix[1 - axis, 1 - axis] > 0


def test_whole_images_keep_their_aspect_and_respect_both_limits():
    config = AugmentConfig(crop_size=None, short_sides=(480, 800), max_long_side=900)
    sizes = {
        draw_view(config, SIZE, MARKER, np.ones(1), np.random.default_rng(s)).size
        for s in range(20)
    }
    assert sizes == {(480, 640), (675, 900)}


def test_crops_focus_on_the_object_that_is_asked_for():
    boxes = np.array([[5, 5, 15, 15], [140, 100, 150, 110]], np.float32)
    config = AugmentConfig(crop_size=(48, 48), zoom=(1.0, 1.0), focus=1.0)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        view = draw_view(config, SIZE, boxes, np.array([0.0, 1.0]), rng)
        _, visible = warp_boxes(boxes, *view)
        assert visible[1] > 0.5
        assert visible[0] == 0
