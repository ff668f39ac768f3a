from __future__ import annotations

import cv2
import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
import pytest

from thermal_perception.evaluation.image_fusion import quantise
from thermal_perception.postprocess import fused_image

NAN, INF = float('nan'), float('inf')


def brightness(*levels):
    """Return one row of brightness, given in grey levels."""
    return np.array([levels], np.float32) / np.float32(255)


def colours(*pixels):
    """Return one row of pixels in B, G, R order."""
    return np.array([pixels], np.uint8)


@pytest.fixture
def street():
    """Return a colour image (37, 53, 3) with every brightness and saturation."""
    return np.random.default_rng(0).integers(0, 256, (37, 53, 3), np.uint8)


@pytest.mark.parametrize(
    ('level', 'expected'),
    [
        pytest.param(0.0, 0, id='black'),
        pytest.param(255.0, 255, id='white'),
        pytest.param(99.4, 99, id='down'),
        pytest.param(127.5, 128, id='half'),
        pytest.param(300.0, 255, id='beyond white'),
        pytest.param(-20.0, 0, id='beyond black'),
        pytest.param(INF, 255, id='infinite'),
        pytest.param(-INF, 0, id='minus infinite'),
        pytest.param(NAN, 0, id='no number'),
    ],
)
def test_grey_levels_are_rounded_half_up_and_clipped(level, expected):
    for width in (1, 7, 64):  # vector code and what is left over
        found = fused_image(brightness(*[level] * width))
        assert_array_equal(found, np.full((1, width), expected, np.uint8))
        assert found.dtype == np.uint8


def test_grey_levels_are_those_that_metrics_are_computed_on():
    fused = np.random.default_rng(1).uniform(-0.1, 1.3, (50, 60)).astype(np.float32)
    assert_array_equal(fused_image(fused), quantise(fused * 255))


def test_image_is_not_stretched_unless_asked():
    fused = brightness(51, 101, 153)
    assert_array_equal(fused_image(fused), [[51, 101, 153]])
    assert_array_equal(fused_image(fused, stretch=True), [[0, 125, 255]])


@pytest.mark.parametrize(
    'levels',
    [
        pytest.param((80.0, 80.0), id='constant'),
        pytest.param((NAN, NAN), id='no number at all'),
        pytest.param((), id='empty'),
    ],
)
def test_an_image_without_range_is_not_stretched(levels):
    assert_array_equal(
        fused_image(brightness(*levels), stretch=True), fused_image(brightness(*levels))
    )


def test_values_that_are_no_numbers_do_not_spoil_the_stretch():
    found = fused_image(brightness(50, NAN, 100, INF), stretch=True)
    assert_array_equal(found, [[0, 0, 255, 255]])


def test_unchanged_brightness_returns_the_visible_image(street):
    assert_array_equal(fused_image(street.max(2).astype(np.float32) / 255, street), street)


def test_colours_are_those_of_hsv_with_v_replaced(street):
    fused = np.random.default_rng(2).random(street.shape[:2], np.float32)
    fused = np.minimum(fused, street.max(2) / np.float32(128))  # brightened twice at most
    hsv = cv2.cvtColor(street.astype(np.float32) / 255, cv2.COLOR_BGR2HSV)
    hsv[..., 2] = fused
    expected = 255 * cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)
    found = fused_image(fused, street)
    assert_allclose(found, expected, atol=2)


def test_brightness_of_the_colour_image_equals_the_grey_image(street):
    fused = np.random.default_rng(3).uniform(-0.1, 1.2, street.shape[:2]).astype(np.float32)
    street[:5] = 0
    street[5:10] //= 50
    assert_array_equal(fused_image(fused, street).max(2), fused_image(fused))


def test_black_pixels_become_grey():
    found = fused_image(brightness(200, 0), colours((0, 0, 0), (0, 0, 0)))
    assert_array_equal(found, colours((200, 200, 200), (0, 0, 0)))


def test_noise_in_the_dark_does_not_become_a_glaring_colour():
    found = fused_image(brightness(200, 200), colours((0, 3, 0), (2, 0, 4)))
    assert_array_equal(found, colours((194, 200, 194), (196, 192, 200)))


def test_darker_brightness_scales_every_channel():
    found = fused_image(brightness(100), colours((50, 100, 200)))
    assert_allclose(found, colours((25, 50, 100)), atol=1)


def test_grey_visible_images_give_grey_results():
    grey = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    found = fused_image(np.random.default_rng(4).random((1, 256), np.float32), grey)
    assert_array_equal(found[..., 0], found[..., 1])
    assert_array_equal(found[..., 0], found[..., 2])


def test_inputs_are_left_as_they_are():
    fused, rgb = brightness(NAN, 300), colours((1, 2, 3), (4, 5, 6))
    before = fused.copy(), rgb.copy()
    for array in (fused, rgb):
        array.setflags(write=False)
    fused_image(fused, rgb, stretch=True)
    assert_array_equal(fused, before[0])
    assert_array_equal(rgb, before[1])


def test_views_of_larger_images_are_accepted(street):
    fused = np.random.default_rng(5).random((37, 53), np.float32)
    expected = fused_image(fused[3:20, 5:30].copy(), street[3:20, 5:30].copy())
    assert_array_equal(fused_image(fused[3:20, 5:30], street[3:20, 5:30]), expected)


def test_images_of_different_size_are_refused():
    with pytest.raises(ValueError, match=r'found fused \(4, 5\) and rgb \(5, 4, 3\)'):
        fused_image(np.zeros((4, 5), np.float32), np.zeros((5, 4, 3), np.uint8))
