"""Image files as metrics want them: what counts as grey levels, and as class indices."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
from numpy.testing import assert_array_equal
import pytest

from thermal_perception.errors import DatasetError
from thermal_perception.evaluation.from_files.images import read_brightness, read_label_map

LABELS = np.array([[0, 1, 2], [3, 1, 255]], np.uint8)


def saved(tmp_path, image, name='a.png'):
    assert cv2.imwrite(str(tmp_path / name), image)
    return tmp_path / name


def png(rows, bits, colour_type, palette=b''):
    """Return a PNG of packed rows (bytes each), so that any depth and palette can be made."""

    def chunk(kind, data):
        return (
            struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
        )

    width = len(rows[0]) * 8 // bits
    head = struct.pack('>IIBBBBB', width, len(rows), bits, colour_type, 0, 0, 0)
    data = zlib.compress(b''.join(b'\0' + row for row in rows))
    colours = chunk(b'PLTE', palette) if palette else b''
    return (
        b'\x89PNG\r\n\x1a\n'
        + chunk(b'IHDR', head)
        + colours
        + chunk(b'IDAT', data)
        + chunk(b'IEND', b'')
    )


def test_brightness_is_the_largest_channel(tmp_path):
    image = np.full((2, 2, 3), (10, 30, 20), np.uint8)
    assert_array_equal(read_brightness(saved(tmp_path, image)), np.full((2, 2), 30))
    assert_array_equal(read_brightness(saved(tmp_path, LABELS)), LABELS)


@pytest.mark.parametrize(
    ('image', 'found'),
    [
        (np.zeros((2, 2), np.uint16), '1 channel of uint16'),
        (np.zeros((2, 2, 4), np.uint8), '4 channels of uint8'),
    ],
)
def test_deep_and_packed_images_are_no_grey_levels(tmp_path, image, found):
    with pytest.raises(DatasetError, match=f'a.png: found {found}, expected 8-bit grey or colour'):
        read_brightness(saved(tmp_path, image))


def test_grey_label_map_is_read_as_it_is_in_one_channel_or_three_equal_ones(tmp_path):
    assert_array_equal(read_label_map(saved(tmp_path, LABELS)), LABELS)
    assert_array_equal(read_label_map(saved(tmp_path, np.dstack([LABELS] * 3))), LABELS)


def test_palette_gives_indices_even_of_equal_colours(tmp_path):
    palette = bytes(3 * 256)  # every entry is black
    (tmp_path / 'a.png').write_bytes(png([bytes(row) for row in LABELS.tolist()], 8, 3, palette))
    assert_array_equal(read_label_map(tmp_path / 'a.png'), LABELS)


@pytest.mark.parametrize(('colour_type', 'kind'), [(0, 'grey'), (3, 'palette')])
@pytest.mark.parametrize(
    ('bits', 'row', 'labels'),
    [
        (1, 0b01100001, [0, 1, 1, 0, 0, 0, 0, 1]),
        (2, 0b00011011, [0, 1, 2, 3]),
        (4, 0x9F, [9, 15]),
    ],
)
def test_few_bits_give_indices_not_grey_levels(tmp_path, bits, row, labels, colour_type, kind):
    palette = bytes(range(3 * 2**bits)) if kind == 'palette' else b''
    (tmp_path / 'a.png').write_bytes(png([bytes([row])], bits, colour_type, palette))
    assert read_label_map(tmp_path / 'a.png').tolist() == [labels]


def test_colours_and_16_bits_are_no_class_indices(tmp_path):
    colours = np.dstack([LABELS, LABELS, 255 - LABELS])
    with pytest.raises(DatasetError, match='a.png: found 3 channels of uint8, expected class'):
        read_label_map(saved(tmp_path, colours))
    with pytest.raises(DatasetError, match='found 1 channel of uint16'):
        read_label_map(saved(tmp_path, LABELS.astype(np.uint16)))


def test_jpeg_is_no_label_map(tmp_path):
    with pytest.raises(DatasetError, match='a.jpg: is no PNG'):
        read_label_map(saved(tmp_path, LABELS, 'a.jpg'))


@pytest.mark.parametrize('name', ['a.png', 'a.jpg'])
def test_cut_off_file_is_refused(tmp_path, name):
    image = np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)
    path = saved(tmp_path, image, name)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(DatasetError, match=f'{name}: is cut off after 2000 bytes'):
        read_brightness(path)


@pytest.mark.parametrize('read', [read_brightness, read_label_map])
def test_missing_empty_and_foreign_files_are_named(tmp_path, read):
    with pytest.raises(DatasetError, match='gone.png: cannot be read: No such file'):
        read(tmp_path / 'gone.png')
    for content in (b'', b'text', b'\x89PNG\r\n\x1a\nIEND\xaeB`\x82'):
        (tmp_path / 'a.png').write_bytes(content)
        with pytest.raises(DatasetError, match='a.png: is n'):
            read(tmp_path / 'a.png')
