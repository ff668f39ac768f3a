"""Raw images for a network that prepares them itself: bits, limits, and who owns the memory."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
import pytest
import torch

from thermal_perception.errors import PreprocessError
from thermal_perception.preprocess import (
    PairPreprocess,
    PreprocessConfig,
    RawPairPreprocess,
    RawPreprocess,
    ThermalTransformConfig,
)
from thermal_perception.types import Frame, FrameSet

FULL = {'low_percentile': 0, 'high_percentile': 100}
CONFIG = PreprocessConfig(thermal_16bit=ThermalTransformConfig('percentile', FULL))


def thermal(image):
    """Wrap an image."""
    return Frame(image, 5, 'thermal_optical', 'thermal', 'test')


def colour(height, width):
    """Return a frame in which every byte is another, up to 255."""
    image = np.arange(height * width * 3, dtype=np.uint8).reshape(height, width, 3)
    return Frame(image, 5, 'rgb_optical', 'rgb', 'bgr8')


def test_counts_above_32767_travel_as_their_bits():
    raw = RawPreprocess(CONFIG)(thermal(np.array([[0, 32767], [32768, 65535]], np.uint16)))
    assert raw.levels.dtype == torch.int16
    assert raw.levels.tolist() == [[[[0, 32767], [-32768, -1]]]]
    assert_allclose(raw.ramp, [[0, 1 / 65535]])
    assert raw.source_size == (2, 2)
    assert raw.inputs == (raw.levels, raw.ramp)


def test_bytes_are_widened_so_that_every_depth_is_of_one_kind():
    raw = RawPreprocess(CONFIG)(thermal(np.array([[0, 200, 255]], np.uint8)))
    assert raw.levels.dtype == torch.int16
    assert raw.levels.tolist() == [[[[0, 200, 255]]]]
    assert_allclose(raw.ramp, [[0, 1 / 255]])


def test_floating_point_becomes_65536_steps():
    raw = RawPreprocess(CONFIG)(thermal(np.array([[280.0, 290.0, 300.0]], np.float32)))
    assert (raw.levels.int() & 0xFFFF).tolist() == [[[[0, 32768, 65535]]]]
    assert_allclose(raw.ramp, [[0, 1 / 65535]])


@pytest.mark.parametrize('dtype', [np.uint16, np.float32])
def test_constant_frame_has_a_ramp_of_zeros_or_levels_of_zeros(dtype):
    raw = RawPreprocess(CONFIG)(thermal(np.full((3, 4), 9000, dtype)))
    assert (raw.levels * raw.ramp[0, 1]).abs().max() == 0


def test_view_of_a_message_is_copied_and_its_gaps_are_left_out():
    rows = np.arange(40, dtype=np.uint16).reshape(4, 10)
    rows.flags.writeable = False
    raw = RawPreprocess(CONFIG)(thermal(rows[:, 1:4]))
    assert raw.levels.is_contiguous()
    assert_array_equal(raw.levels[0, 0], rows[:, 1:4])
    raw.levels.zero_()
    assert rows[0, 1] == 1


def test_memory_is_used_again_until_the_size_changes():
    preprocess = RawPairPreprocess(CONFIG)
    first = preprocess(FrameSet(thermal(np.ones((4, 6), np.uint8)), colour(4, 6))).inputs
    again = preprocess(FrameSet(thermal(np.ones((4, 6), np.uint16)), colour(4, 6))).inputs
    other = preprocess(FrameSet(thermal(np.ones((6, 4), np.uint8)), colour(6, 4))).inputs
    for camera in (0, 2):
        assert again[camera].data_ptr() == first[camera].data_ptr()
        assert other[camera].shape[:-1] != first[camera].shape[:-1]


def test_colours_travel_as_they_came():
    frame = colour(4, 6)
    raw = RawPairPreprocess(CONFIG)(FrameSet(rgb=frame))
    assert raw.inputs[:2] == (None, None)
    assert_array_equal(raw.rgb[0], frame.image)


def test_pair_without_colours_has_none():
    raw = RawPairPreprocess(PreprocessConfig(short_side=10))(
        FrameSet(thermal(np.zeros((20, 40), np.uint8)))
    )
    assert raw.rgb is None
    assert (raw.source_size, raw.content_size) == ((20, 40), (10, 20))


@pytest.mark.parametrize(
    ('frames', 'text'),
    [
        (FrameSet(thermal(np.zeros((0, 4), np.uint8))), r'found shape \(0, 4\), expected one'),
        (FrameSet(thermal(np.zeros((2, 2), np.int64))), 'found int64'),
        (FrameSet(thermal(np.zeros((4, 6), np.uint8)), colour(8, 12)), '12 x 8 pixels beside'),
    ],
    ids=['empty', 'type', 'not registered'],
)
def test_what_cannot_be_prepared_is_refused_as_on_the_host(frames, text):
    for preprocess in (RawPairPreprocess(CONFIG), PairPreprocess(CONFIG)):
        with pytest.raises(PreprocessError, match=text):
            preprocess(frames)


def bytes_of(inputs):
    """Return how many bytes tensors have."""
    return sum(x.nbytes for x in inputs if x is not None)


@pytest.mark.parametrize(
    ('config', 'expected'),
    [
        # 640 * 512 pixels of 4 bytes and 3 * 4 bytes; of 2 bytes and 3, and a ramp of 8
        (PreprocessConfig(), (5_242_880, 1_638_408)),
        # 1000 * 800, padded to 1024 * 832, where padding has a byte for each pixel
        (PreprocessConfig(short_side=800), (17 * 851_968, 1_638_408)),
    ],
    ids=['as it is', 'enlarged'],
)
def test_a_pair_of_640x512_takes_a_third_of_the_bytes_or_less(config, expected):
    frames = FrameSet(thermal(np.zeros((512, 640), np.uint16)), colour(512, 640))
    host, raw = (kind(config)(frames).inputs for kind in (PairPreprocess, RawPairPreprocess))
    assert (bytes_of(host), bytes_of(raw)) == expected
