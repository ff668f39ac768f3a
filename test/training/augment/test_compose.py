"""Mosaics and pasted objects."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose
import pytest

from training.augment import cut_object, paste_object, quadrants

BOX = np.array([[20.0, 16.0, 32.0, 36.0]], np.float32)


def scene():
    image = np.full((60, 80), 0.3, np.float32)
    image[16:36, 20:32] = 0.9
    return image


def test_quadrants_cover_the_sample_once():
    for seed in range(10):
        covered = np.zeros((96, 112), int)
        for part in quadrants((96, 112), np.random.default_rng(seed)):
            covered[part.y : part.y + part.size[0], part.x : part.x + part.size[1]] += 1
            assert min(part.size) > 20
        assert (covered == 1).all()


def test_an_object_is_cut_with_its_margin_and_scaled():
    patch = cut_object(scene(), BOX, 0, zoom=2.0)
    assert patch.margin_px == 6  # 15 % of 20 pixels, times 2
    assert patch.image.shape == (2 * (20 + 6), 2 * (12 + 6))
    assert patch.image[26, 18] == pytest.approx(0.9)
    assert patch.image[1, 1] == pytest.approx(0.3)


@pytest.mark.parametrize(
    ('boxes', 'zoom'),
    [
        pytest.param([[0, 16, 12, 36]], 1.0, id='at the border'),
        pytest.param([[20, 16, 32, 36], [33, 20, 50, 30]], 1.0, id='a neighbour in the margin'),
        pytest.param([[20, 16, 32, 36]], 0.3, id='too small'),
    ],
)
def test_what_cannot_be_cut_out_cleanly_is_not(boxes, zoom):
    assert cut_object(scene(), np.array(boxes, np.float32), 0, zoom) is None


def test_a_pasted_object_has_its_contrast_and_its_box():
    patch = cut_object(scene(), BOX, 0, zoom=1.0)
    image = np.full((100, 120), 0.1, np.float32)
    box = paste_object(image, np.zeros((0, 4), np.float32), patch, np.random.default_rng(0))
    x1, y1, x2, y2 = box.astype(int)
    assert (x2 - x1, y2 - y1) == (12, 20)
    # 0.9 over 0.3 becomes 0.7 over 0.1: the same contrast in new surroundings.
    assert_allclose(image[y1 + 2 : y2 - 2, x1 + 2 : x2 - 2], 0.7, atol=1e-5)
    outside = np.ones(image.shape, bool)
    outside[y1 - 3 : y2 + 3, x1 - 3 : x2 + 3] = False
    assert_allclose(image[outside], 0.1)


def test_an_object_is_pasted_where_no_other_is():
    patch = cut_object(scene(), BOX, 0, zoom=1.0)
    others = np.array([[0, 0, 60, 100]], np.float32)
    pasted = 0
    for seed in range(20):
        image = np.zeros((100, 120), np.float32)
        box = paste_object(image, others, patch, np.random.default_rng(seed))
        if box is not None:
            assert box[0] >= 60
            pasted += 1
    assert pasted > 10


def test_without_room_nothing_is_pasted_or_changed():
    patch = cut_object(scene(), BOX, 0, zoom=1.0)
    image = np.zeros((100, 120), np.float32)
    full = np.array([[0, 0, 120, 100]], np.float32)
    assert paste_object(image, full, patch, np.random.default_rng(0)) is None
    assert not image.any()
    small = np.zeros((20, 20), np.float32)
    nothing = np.zeros((0, 4), np.float32)
    assert paste_object(small, nothing, patch, np.random.default_rng(0)) is None
