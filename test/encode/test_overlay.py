from __future__ import annotations

import numpy as np
from numpy.testing import assert_array_equal
import pytest

pytest.importorskip('vision_msgs', reason='needs the ROS 2 package vision_msgs')

from thermal_perception.encode import draw_overlay, to_display, to_encoding
from thermal_perception.encode.overlay import PALETTE
from thermal_perception.types import Detections


def detections(*boxes):
    n = len(boxes)
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4), np.full(n, 0.5, np.float32),
        np.arange(n), ('person', 'car', 'bicycle'), 0, 'f', (100, 200),
    )


def test_overlay_without_boxes_is_the_grey_image_in_three_channels():
    image = np.arange(200, dtype=np.uint8).reshape(10, 20)
    overlay = draw_overlay(image, detections())
    assert_array_equal(overlay, np.repeat(image[..., None], 3, axis=2))


def test_colour_image_keeps_its_colours_and_is_not_drawn_into():
    image = np.random.default_rng(0).integers(0, 256, (100, 200, 3), np.uint8)
    before = image.copy()
    assert_array_equal(draw_overlay(image, detections()), image)
    draw_overlay(image, detections((50, 40, 80, 90)))
    assert_array_equal(image, before)


def test_grey_becomes_three_equal_channels_and_colour_its_luminance():
    grey = np.arange(6, dtype=np.uint8).reshape(2, 3)
    assert_array_equal(to_encoding(grey, 'bgr8'), np.repeat(grey[..., None], 3, axis=2))
    green = np.full((2, 3, 3), (0, 200, 0), np.uint8)
    assert_array_equal(to_encoding(green, 'mono8'), np.full((2, 3), 117))  # 0.587 * 200
    assert to_encoding(grey, 'mono8') is grey
    assert to_encoding(green, 'bgr8') is green


def test_box_frames_its_outermost_pixels_in_the_colour_of_its_class():
    overlay = draw_overlay(np.zeros((100, 200), np.uint8), detections((50, 40, 80, 90)))
    coloured = (overlay == PALETTE[0]).all(axis=2)
    assert coloured[40:90, 50].all()
    assert coloured[40:90, 79].all()
    assert coloured[40, 50:80].all()
    assert coloured[89, 50:80].all()
    assert not coloured[41:89, 51:79].any()
    assert not coloured[90:].any()
    assert not coloured[:, 80 + 60:].any()  # the label's bar may be wider than the box


def test_classes_have_different_colours():
    overlay = draw_overlay(
        np.zeros((100, 200), np.uint8), detections((10, 50, 30, 70), (100, 50, 120, 70))
    )
    assert tuple(overlay[60, 10]) == PALETTE[0]
    assert tuple(overlay[60, 100]) == PALETTE[1]


@pytest.mark.parametrize(
    'box',
    [
        pytest.param((-50, -50, 10, 10), id='over the corner'),
        pytest.param((190, 90, 400, 400), id='out of the far corner'),
        pytest.param((20, 20, 20, 20), id='zero area'),
        pytest.param((0, 0, 200, 100), id='whole image'),
        pytest.param((-1e9, 5, 1e9, 20), id='absurd'),
    ],
)
def test_any_box_can_be_drawn(box):
    overlay = draw_overlay(np.zeros((100, 200), np.uint8), detections(box))
    assert overlay.shape == (100, 200, 3)
    assert overlay.any()


def test_image_is_not_drawn_into():
    image = np.zeros((100, 200), np.uint8)
    draw_overlay(image, detections((10, 10, 50, 50)))
    assert not image.any()


def test_8_bit_image_is_displayed_as_it_is():
    image = np.array([[3, 200]], np.uint8)
    assert_array_equal(to_display(image), image)


@pytest.mark.parametrize('dtype', [np.uint16, np.float32])
def test_narrow_range_is_stretched_to_black_and_white(dtype):
    image = np.full((100, 100), 8000, dtype)
    image[:, 50:] = 8100
    shown = to_display(image)
    assert set(np.unique(shown)) == {0, 255}
    assert shown[0, 0] == 0


def test_values_outside_of_the_limits_saturate():
    image = np.tile(np.arange(1000, 1100, dtype=np.uint16), (100, 1))
    image[0, 0], image[0, 1] = 0, 65535
    shown = to_display(image)
    assert shown[0, 0] == 0
    assert shown[0, 1] == 255
    assert abs(int(shown[50, 50]) - 128) <= 3


@pytest.mark.parametrize('value', [7, 0, 65535])
def test_constant_image_is_black(value):
    assert not to_display(np.full((8, 8), value, np.uint16)).any()


def test_nan_is_black_and_infinity_saturates():
    image = np.tile(np.linspace(20, 30, 50, dtype=np.float32), (50, 1))
    image[0, :3] = (np.nan, np.inf, -np.inf)
    assert_array_equal(to_display(image)[0, :3], (0, 255, 0))


def test_image_of_nothing_but_nan_is_black():
    assert not to_display(np.full((8, 8), np.nan, np.float32)).any()
