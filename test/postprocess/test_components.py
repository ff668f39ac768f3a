from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
import pytest

from thermal_perception.postprocess import find_components
from thermal_perception.types import SegmentationMask

NAMES = ('unlabeled', 'car', 'person')


def mask_of(labels):
    return SegmentationMask(np.asarray(labels, np.uint8), NAMES, 7, 'thermal_optical')


@pytest.fixture
def scene():
    """Return two cars, and a person beside one of them, on a ground of 20 x 30 pixels."""
    labels = np.zeros((20, 30), np.uint8)
    labels[2:8, 3:13] = 1
    labels[2:8, 13:16] = 2
    labels[12:18, 20:28] = 1
    return mask_of(labels)


def shares_of(values, size=(20, 30)):
    return np.stack([np.full(size, value, np.float32) for value in values])


def test_regions_of_countable_classes_get_their_boxes(scene):
    found = find_components(scene, shares_of((0.125, 0.5, 0.75)), (1, 2), min_area_px=1)
    assert_array_equal(
        found.boxes_xyxy_px, [[13, 2, 16, 8], [3, 2, 13, 8], [20, 12, 28, 18]]
    )
    assert_array_equal(found.labels, [2, 1, 1])
    assert_allclose(found.scores, [0.75, 0.5, 0.5])
    assert (found.class_names, found.stamp_ns, found.frame_id) == (NAMES, 7, 'thermal_optical')
    assert found.image_size == (20, 30)


def test_small_regions_and_other_classes_are_left_out(scene):
    found = find_components(scene, shares_of((0.125, 0.5, 0.75)), (1,), min_area_px=50)
    assert_array_equal(found.boxes_xyxy_px, [[3, 2, 13, 8]])  # 60 pixels; the other has 48


def test_a_score_is_the_mean_probability_of_the_region_alone():
    labels = np.zeros((4, 8), np.uint8)
    labels[:, :4] = 1
    shares = np.zeros((3, 1, 2), np.float32)  # one value for each half
    shares[1] = [[0.75, 0.125]]
    found = find_components(mask_of(labels), shares, (1,), min_area_px=1)
    assert_allclose(found.scores, [0.75])


def test_pixels_that_touch_at_a_corner_are_one_region():
    labels = np.zeros((4, 4), np.uint8)
    labels[0, 0] = labels[1, 1] = 2
    found = find_components(mask_of(labels), shares_of((0, 0, 1), (4, 4)), (1, 2), min_area_px=2)
    assert_array_equal(found.boxes_xyxy_px, [[0, 0, 2, 2]])


def test_only_the_best_are_kept(scene):
    found = find_components(
        scene, shares_of((0.125, 0.5, 0.75)), (1, 2), limit=2, min_area_px=1
    )
    assert_array_equal(found.boxes_xyxy_px, [[13, 2, 16, 8], [3, 2, 13, 8]])


def test_nothing_countable_gives_no_box():
    found = find_components(mask_of(np.zeros((5, 5))), shares_of((1, 0, 0), (5, 5)), (1, 2))
    assert found.boxes_xyxy_px.shape == (0, 4)
