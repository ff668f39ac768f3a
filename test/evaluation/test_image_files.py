"""Image files of any depth as frames, and 8-bit images as sensor counts."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from thermal_perception.errors import DatasetError
from thermal_perception.evaluation.image_files import (
    place_in_counts,
    read_colour_image,
    read_thermal_image,
    thermal_frame,
)

RAMP = np.arange(6 * 8, dtype=np.uint8).reshape(6, 8) * 5


@pytest.mark.parametrize('suffix', ['.png', '.tiff', '.bmp'])
def test_lossless_8_bit_files_come_back_exactly(tmp_path, suffix):
    path = tmp_path / f'image{suffix}'
    cv2.imwrite(str(path), RAMP)
    image = read_thermal_image(path)
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, RAMP)


@pytest.mark.parametrize('suffix', ['.png', '.tiff'])
def test_16_bit_files_keep_every_count(tmp_path, suffix):
    path = tmp_path / f'image{suffix}'
    counts = RAMP.astype(np.uint16) * 61 + 3
    cv2.imwrite(str(path), counts)
    image = read_thermal_image(path)
    assert image.dtype == np.uint16
    np.testing.assert_array_equal(image, counts)


@pytest.mark.parametrize('suffix', ['.png', '.webp', '.jpg'])
@pytest.mark.parametrize('channels', [1, 3])
def test_grey_and_colour_files_become_one_channel(tmp_path, suffix, channels):
    path = tmp_path / f'image{suffix}'
    flat = np.full((16, 16), 120, np.uint8)
    cv2.imwrite(str(path), cv2.merge([flat] * channels))
    image = read_thermal_image(path)
    assert image.shape == (16, 16)
    assert np.abs(image.astype(int) - 120).max() <= 1


def test_transparent_files_become_one_channel(tmp_path):
    path = tmp_path / 'image.png'
    cv2.imwrite(str(path), cv2.merge([RAMP, RAMP, RAMP, np.full_like(RAMP, 255)]))
    np.testing.assert_array_equal(read_thermal_image(path), RAMP)


@pytest.mark.parametrize('content', [b'', b'not an image'])
def test_damaged_image_is_refused_by_name(tmp_path, content):
    path = tmp_path / 'broken.png'
    path.write_bytes(content)
    with pytest.raises(DatasetError, match='broken.png: is not an image'):
        read_thermal_image(path)


def test_missing_and_float_images_are_refused_by_name(tmp_path):
    with pytest.raises(DatasetError, match='gone.png: cannot be read'):
        read_thermal_image(tmp_path / 'gone.png')
    cv2.imwrite(str(tmp_path / 'kelvin.tiff'), RAMP.astype(np.float32))
    with pytest.raises(DatasetError, match='kelvin.tiff: found float32 pixels, expected 8 or 16'):
        read_thermal_image(tmp_path / 'kelvin.tiff')


def test_frame_names_encoding_and_bits_by_depth():
    frame8 = thermal_frame(RAMP, stamp_ns=5, frame_id='cam')
    frame16 = thermal_frame(RAMP.astype(np.uint16), valid_bits=14)
    assert (frame8.encoding, frame8.valid_bits, frame8.stamp_ns, frame8.frame_id) == (
        'mono8',
        8,
        5,
        'cam',
    )
    assert (frame16.encoding, frame16.valid_bits) == ('mono16', 14)


def test_colour_files_keep_their_order_and_grey_ones_get_three_channels(tmp_path):
    colours = np.dstack((RAMP, RAMP + 1, RAMP + 2))
    for name, image in (('colour.png', colours), ('grey.png', RAMP)):
        cv2.imwrite(str(tmp_path / name), image)
    np.testing.assert_array_equal(read_colour_image(tmp_path / 'colour.png'), colours)
    np.testing.assert_array_equal(read_colour_image(tmp_path / 'grey.png'), np.dstack([RAMP] * 3))
    with pytest.raises(DatasetError, match='gone.png: cannot be read'):
        read_colour_image(tmp_path / 'gone.png')


def test_a_seed_places_8_bit_frames_in_counts_and_leaves_deeper_ones():
    frame = thermal_frame(RAMP, counts_seed=3)
    np.testing.assert_array_equal(frame.image, place_in_counts(RAMP, 3))
    assert (frame.encoding, frame.valid_bits) == ('mono16', 14)
    deep = RAMP.astype(np.uint16)
    assert thermal_frame(deep, valid_bits=12, counts_seed=3).image is deep


def test_counts_are_the_same_for_a_seed_and_differ_between_seeds():
    np.testing.assert_array_equal(place_in_counts(RAMP, 3), place_in_counts(RAMP, 3))
    assert place_in_counts(RAMP, 3).mean() != place_in_counts(RAMP, 4).mean()


@pytest.mark.parametrize('seed', range(20))
def test_counts_stay_in_14_bits_and_follow_the_grey_levels(seed):
    levels = np.repeat(np.arange(0, 256, 5, dtype=np.uint8)[:, None], 50, axis=1)
    counts = place_in_counts(levels, seed)
    assert counts.dtype == np.uint16
    assert 900 < counts.min() < counts.max() < 2**14
    assert (np.diff(counts.mean(axis=1)) > 0).all()
    low, high = counts.mean(axis=1)[[0, -1]]
    recovered = np.rint((counts - low) / (high - low) * 255)
    assert np.abs(recovered - levels).max() <= 1.5
