"""Two registered frames to tensors: order of colours, padding, resizing, and what is refused."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose
import pytest

from thermal_perception.errors import PreprocessError
from thermal_perception.preprocess import PairPreprocess, PreprocessConfig
from thermal_perception.types import Frame, FrameSet

WHOLE = PreprocessConfig(pad_multiple=1)


def thermal(height, width, value=100):
    image = np.full((height, width), value, np.uint8)
    return Frame(image, 5, 'thermal_optical', 'thermal', 'mono8', valid_bits=8)


def colour(height, width, bgr=(51, 102, 255)):
    image = np.full((height, width, 3), bgr, np.uint8)
    return Frame(image, 5, 'rgb_optical', 'rgb', 'bgr8', valid_bits=8)


def test_colours_become_planes_in_the_order_red_green_blue():
    found = PairPreprocess(WHOLE)(FrameSet(thermal(4, 6), colour(4, 6)))
    assert found.thermal.shape == (1, 1, 4, 6)
    assert found.rgb.shape == (1, 3, 4, 6)
    assert_allclose(found.rgb[0, :, 2, 3], [1, 0.4, 0.2], atol=1e-6)
    assert_allclose(found.thermal, 100 / 255, atol=1e-6)
    assert found.padding is None


def test_both_images_are_padded_alike():
    found = PairPreprocess(PreprocessConfig(pad_multiple=32))(
        FrameSet(thermal(20, 40), colour(20, 40))
    )
    assert found.thermal.shape[-2:] == found.rgb.shape[-2:] == (32, 64)
    assert found.padding.shape == (1, 32, 64)
    assert not found.padding[0, :20, :40].any()
    assert found.rgb[0][:, found.padding[0]].abs().max() == 0
    assert found.content_size == (20, 40)


@pytest.mark.parametrize('camera', ['thermal', 'rgb'])
def test_either_camera_may_be_missing(camera):
    frames = {'thermal': thermal(20, 40), 'rgb': colour(20, 40)}
    left = {kind: frame for kind, frame in frames.items() if kind != camera}
    found = PairPreprocess(PreprocessConfig(pad_multiple=32))(FrameSet(**left))
    assert getattr(found, camera) is None
    assert found.padding.sum() == 32 * 64 - 20 * 40
    assert found.source_size == (20, 40)


def test_a_model_of_another_size_gets_both_resized():
    config = PreprocessConfig(short_side=10, pad_multiple=1)
    found = PairPreprocess(config)(FrameSet(thermal(20, 40), colour(20, 40)))
    assert found.thermal.shape[-2:] == found.rgb.shape[-2:] == (10, 20)
    assert found.source_size == (20, 40)
    assert_allclose(found.rgb[0, 0], 1, atol=1e-6)


def test_sizes_may_change_from_set_to_set():
    prepare = PairPreprocess(WHOLE)
    large = prepare(FrameSet(thermal(8, 8), colour(8, 8))).rgb.clone()
    assert prepare(FrameSet(thermal(4, 6), colour(4, 6))).rgb.shape == (1, 3, 4, 6)
    assert_allclose(prepare(FrameSet(thermal(8, 8), colour(8, 8))).rgb, large)


@pytest.mark.parametrize(
    ('rgb', 'message'),
    [
        (colour(9, 12), r"'rgb_optical': found 12 x 9 pixels beside a thermal image of 6 x 4"),
        (thermal(4, 6), r'found uint8 \(4, 6\), expected a colour image'),
    ],
)
def test_a_colour_image_that_does_not_fit_is_refused(rgb, message):
    with pytest.raises(PreprocessError, match=message):
        PairPreprocess(WHOLE)(FrameSet(thermal(4, 6), rgb))
