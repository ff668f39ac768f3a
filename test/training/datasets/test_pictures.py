from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
from numpy.testing import assert_array_equal
import pytest

from thermal_perception.errors import DatasetError
from training.datasets import Picture
from training.datasets.pictures import check_complete


@pytest.fixture
def noise():
    return np.random.default_rng(0).integers(0, 256, (40, 60), np.uint8)


def write(path, image):
    assert cv2.imwrite(str(path), image)
    return path


def palette_png(path, indices, palette):
    """Write a PNG with a palette, which OpenCV cannot."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack('>I', len(data)) + body + struct.pack('>I', zlib.crc32(body))

    height, width = indices.shape
    rows = b''.join(b'\0' + row.tobytes() for row in indices)
    path.write_bytes(
        b'\x89PNG\r\n\x1a\n'
        + chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, 8, 3, 0, 0, 0))
        + chunk(b'PLTE', bytes(np.array(palette, np.uint8)))
        + chunk(b'IDAT', zlib.compress(rows))
        + chunk(b'IEND', b'')
    )
    return path


def test_sixteen_bits_stay_sixteen_bits(tmp_path):
    deep = np.full((4, 5), 12345, np.uint16)
    assert_array_equal(Picture(write(tmp_path / 'a.png', deep), 'thermal').read(), deep)


def test_a_colour_file_of_a_thermal_image_becomes_grey(tmp_path, noise):
    grey = cv2.merge([noise] * 3)
    assert_array_equal(Picture(write(tmp_path / 'a.png', grey), 'thermal').read(), noise)


def test_a_crop_is_cut_off_on_every_side_and_refused_where_nothing_is_left(tmp_path, noise):
    path = write(tmp_path / 'a.png', noise)
    assert_array_equal(Picture(path, 'thermal', crop_px=10).read(), noise[10:30, 10:50])
    with pytest.raises(DatasetError, match='found 60 x 40 pixels, expected more than 40'):
        Picture(path, 'thermal', crop_px=20).read()


@pytest.mark.parametrize('suffix', ['.jpg', '.png'])
@pytest.mark.parametrize('share', [0.5, 0.95])
def test_a_cut_off_file_is_refused_though_decoders_fill_it_up(tmp_path, noise, suffix, share):
    path = write(tmp_path / f'a{suffix}', noise)
    check_complete(path)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(DatasetError, match=f'a{suffix}: is cut off after'):
        Picture(path, 'thermal').read()


def test_padding_after_the_end_mark_is_no_damage(tmp_path, noise):
    path = write(tmp_path / 'a.jpg', noise)
    path.write_bytes(path.read_bytes() + bytes(500))
    check_complete(path)


def test_the_palette_of_a_label_image_is_undone(tmp_path):
    indices = np.array([[0, 1, 2], [2, 1, 0]], np.uint8)
    palette = [(0, 0, 0), (64, 0, 128), (64, 64, 0), (0, 0, 0)]  # the last entry is not used
    path = palette_png(tmp_path / 'a.png', indices, palette)
    assert_array_equal(Picture(path, 'mask').read(), indices)


def test_a_label_image_of_three_equal_channels_is_one_of_one_channel(tmp_path):
    ids = np.arange(6, dtype=np.uint8).reshape(2, 3)
    path = write(tmp_path / 'a.png', cv2.merge([ids] * 3))
    assert_array_equal(Picture(path, 'mask').read(), ids)


def test_a_painted_label_image_is_refused(tmp_path):
    image = np.zeros((2, 3, 3), np.uint8)
    image[..., 1] = 64
    with pytest.raises(DatasetError, match='expected class indices in one 8-bit channel'):
        Picture(write(tmp_path / 'a.png', image), 'mask').read()
