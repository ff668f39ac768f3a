"""Reading COCO folders, image files of any depth, and 8-bit images as sensor counts."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from thermal_perception.errors import DatasetError
from thermal_perception.evaluation.dataset import (
    open_split,
    place_in_counts,
    read_thermal_image,
    thermal_frame,
)

RAMP = np.arange(6 * 8, dtype=np.uint8).reshape(6, 8) * 5


def make_dataset(root, names, annotated):
    (root / 'images' / 'val').mkdir(parents=True)
    (root / 'annotations').mkdir()
    for name in names:
        cv2.imwrite(str(root / 'images' / 'val' / name), RAMP)
    images = [{'id': 10 + i, 'file_name': name} for i, name in enumerate(annotated)]
    content = {'images': images, 'annotations': [], 'categories': []}
    (root / 'annotations' / 'val.json').write_text(json.dumps(content))
    return root


def test_split_lists_ids_and_files_in_annotation_order(tmp_path):
    split = open_split(make_dataset(tmp_path, ['a.png', 'b.png'], ['b.png', 'a.png']), 'val')
    assert [(i, p.name) for i, p in split.images] == [(10, 'b.png'), (11, 'a.png')]


def test_split_with_missing_images_names_the_first_and_counts_them(tmp_path):
    dataset = make_dataset(tmp_path, ['a.png'], ['a.png', 'b.png', 'c.png'])
    with pytest.raises(DatasetError, match='2 of 3 annotated images are missing, .* b.png'):
        open_split(dataset, 'val')


def test_split_without_images_or_annotations_is_refused(tmp_path):
    with pytest.raises(DatasetError, match='the annotations name no image'):
        open_split(make_dataset(tmp_path, [], []), 'val')
    with pytest.raises(DatasetError, match='test.json: cannot be read'):
        open_split(tmp_path, 'test')


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
