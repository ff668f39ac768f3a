from __future__ import annotations

import array
import struct
from types import SimpleNamespace
from typing import Any
import zlib

import cv2
from hypothesis import given, settings
import hypothesis.strategies as st
import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
import pytest

from thermal_perception.decode.compressed import decode_compressed
from thermal_perception.decode.units import thermal_units
from thermal_perception.errors import DecodeError


def message(data: Any, format: str) -> Any:  # noqa: A002  the message's own name
    header = SimpleNamespace(stamp=SimpleNamespace(sec=12, nanosec=34), frame_id='cam')
    return SimpleNamespace(header=header, format=format, data=data)


def packed(kind: str, image: np.ndarray) -> bytes:
    good, data = cv2.imencode(f'.{kind}', image)
    assert good
    return data.tobytes()


def smooth(channels: int = 1, size: tuple[int, int] = (48, 64)) -> np.ndarray:
    """A picture JPEG keeps well: ramps of different slope per channel."""
    y, x = np.mgrid[: size[0], : size[1]]
    planes = [40 + 2 * y + x, 200 - y - x, 30 + 3 * x][:channels]
    return np.dstack(planes).astype(np.uint8).squeeze()


GREY8 = np.array([[0, 1, 2], [3, 254, 255]], np.uint8)
GREY16 = np.array([[0, 258, 2], [16383, 30000, 65535]], np.uint16)


def png(width: int, height: int, bits: int = 8, colour: int = 0, body: bytes = b'') -> bytes:
    """A PNG file with any header one likes; `body` holds the compressed rows."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = zlib.crc32(kind + content)
        return struct.pack('>I', len(content)) + kind + content + struct.pack('>I', checksum)

    head = struct.pack('>IIBBBBB', width, height, bits, colour, 0, 0, 0)
    return b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', head) + chunk(b'IDAT', body) + chunk(b'IEND', b'')


def jpeg(width: int, height: int, bits: int = 8) -> bytes:
    """A JPEG's first segments: start, comment, start of frame, start of scan, end."""
    frame = struct.pack('>BBHBHHB', 0xFF, 0xC0, 11, bits, height, width, 1) + b'\x01\x11\x00'
    return b'\xff\xd8\xff\xfe\x00\x04hi' + frame + b'\xff\xda\x00\x08\x01\x01\0\0\x3f\0\xff\xd9'


@pytest.mark.parametrize('source', ['mono16; png compressed ', '16UC1; png compressed ', 'png'])
def test_png_of_16_bit_thermal_keeps_every_count(source):
    frame = decode_compressed(message(packed('png', GREY16), source), modality='thermal')
    assert frame.image.dtype == np.uint16
    assert_array_equal(frame.image, GREY16)


@pytest.mark.parametrize(
    'source', ['mono8; png compressed ', '8UC1; png compressed ', 'png', 'image/png']
)
def test_png_of_8_bit_thermal_keeps_every_level(source):
    frame = decode_compressed(message(packed('png', GREY8), source), modality='thermal')
    assert frame.image.dtype == np.uint8
    assert_array_equal(frame.image, GREY8)


@pytest.mark.parametrize('source', ['mono8; jpeg compressed ', 'mono8; jpeg compressed', 'jpeg'])
def test_jpeg_of_8_bit_thermal_is_near_the_original(source):
    frame = decode_compressed(message(packed('jpg', smooth()), source), modality='thermal')
    assert frame.image.dtype == np.uint8
    assert_allclose(frame.image, smooth(), atol=6)


@pytest.mark.parametrize(
    'source',
    [
        'bgr8; jpeg compressed bgr8',
        'rgb8; jpeg compressed bgr8',
        'bayer_rggb8; jpeg compressed bgr8',
        'jpeg',
        'jpg',
    ],
)
def test_jpeg_of_rgb_camera_becomes_bgr(source):
    data = packed('jpg', np.full((16, 24, 3), (200, 100, 50), np.uint8))
    frame = decode_compressed(message(data, source), modality='rgb')
    assert frame.image.shape == (16, 24, 3)
    assert_allclose(frame.image, np.broadcast_to([200, 100, 50], (16, 24, 3)), atol=3)


def test_png_of_rgb_camera_becomes_bgr_exactly():
    data = packed('png', smooth(3))
    frame = decode_compressed(message(data, 'bgr8; png compressed bgr8'), modality='rgb')
    assert_array_equal(frame.image, smooth(3))


def test_png_with_transparency_loses_it():
    data = packed('png', np.dstack([smooth(3), np.full((48, 64), 77, np.uint8)]))
    frame = decode_compressed(message(data, 'bgra8; png compressed bgr8'), modality='rgb')
    assert_array_equal(frame.image, smooth(3))


@pytest.mark.parametrize('kind', ['jpg', 'png'])
def test_grey_file_of_rgb_camera_becomes_three_equal_channels(kind):
    frame = decode_compressed(message(packed(kind, smooth()), kind), modality='rgb')
    assert frame.image.shape == (48, 64, 3)
    assert_array_equal(frame.image[..., 0], frame.image[..., 2])


@pytest.mark.parametrize('kind', ['jpg', 'png'])
def test_colour_file_of_thermal_camera_becomes_grey(kind):
    grey_as_colour = np.dstack([smooth()] * 3)
    frame = decode_compressed(message(packed(kind, grey_as_colour), kind), modality='thermal')
    assert_allclose(frame.image, smooth(), atol=6 if kind == 'jpg' else 0)


@pytest.mark.parametrize(
    'kind',
    [
        pytest.param(bytes, id='bytes'),
        pytest.param(lambda b: array.array('B', b), id='array.array'),
        pytest.param(lambda b: np.frombuffer(b, np.uint8), id='ndarray'),
        pytest.param(memoryview, id='memoryview'),
    ],
)
def test_file_is_the_same_for_any_kind_of_data(kind):
    for file, limit in ((packed('png', smooth()), 0), (packed('jpg', smooth()), 6)):
        frame = decode_compressed(message(kind(file), ''), modality='thermal')
        assert_allclose(frame.image, smooth(), atol=limit)


def test_frame_carries_stamp_frame_format_and_units():
    msg = message(packed('png', GREY16), '16UC1; png compressed ')
    frame = decode_compressed(msg, modality='thermal', units=thermal_units('lepton_10mk'))
    assert (frame.stamp_ns, frame.frame_id) == (12_000_000_034, 'cam')
    assert frame.encoding == '16UC1; png compressed'
    assert (frame.unit, frame.scale, frame.valid_bits) == ('kelvin', 0.01, 16)


def test_rotation_noted_in_the_file_is_ignored():
    plain = packed('jpg', smooth())
    exif = b'Exif\0\0II*\0\x08\0\0\0\x01\0' + struct.pack('<HHIHHI', 0x0112, 3, 1, 6, 0, 0)
    rotated = plain[:2] + b'\xff\xe1' + struct.pack('>H', len(exif) + 2) + exif + plain[2:]
    for modality in ('thermal', 'rgb'):
        frame = decode_compressed(message(rotated, 'jpeg'), modality=modality)
        assert frame.size == (48, 64)


def test_thumbnail_within_a_jpeg_does_not_stand_for_its_size_or_end():
    plain = packed('jpg', smooth())
    thumb = packed('jpg', smooth(size=(8, 8)))
    nested = plain[:2] + b'\xff\xe2' + struct.pack('>H', len(thumb) + 2) + thumb + plain[2:]
    assert decode_compressed(message(nested, 'jpeg'), modality='thermal').size == (48, 64)
    with pytest.raises(DecodeError, match='the jpeg has no end'):
        decode_compressed(message(nested[:-30], 'jpeg'), modality='thermal')


@pytest.mark.parametrize('kind', ['jpg', 'png'])
def test_padding_after_the_end_is_allowed(kind):
    data = packed(kind, smooth()) + b'\0' * 200
    assert decode_compressed(message(data, kind), modality='thermal').size == (48, 64)


JPEG = packed('jpg', smooth())
PNG = packed('png', smooth())
PNG16 = packed('png', GREY16)


@pytest.mark.parametrize(
    ('data', 'source', 'modality', 'cause', 'text'),
    [
        pytest.param(
            JPEG,
            'mono16; jpeg compressed ',
            'thermal',
            'lossy_16bit',
            r"'mono16; jpeg compressed ' of 48x64 .* expected PNG",
            id='16 bit squeezed into JPEG',
        ),
        pytest.param(
            JPEG, '16UC1; jpeg compressed ', 'thermal', 'lossy_16bit', '8 of 16 bits', id='16UC1'
        ),
        pytest.param(
            PNG,
            '16UC1; png compressed ',
            'thermal',
            'lossy_16bit',
            'found PNG of 8 bits, expected 16',
            id='8-bit PNG of a 16-bit camera',
        ),
        pytest.param(
            PNG16, 'png', 'rgb', 'unsupported_encoding', 'PNG of 16 bits', id='16-bit rgb'
        ),
        pytest.param(
            struct.pack('<Iff', 0, 0.0, 0.0) + PNG16,
            '16UC1; compressedDepth png',
            'thermal',
            'unsupported_encoding',
            "'16UC1; compressedDepth png': found 00 00 00 00 .* expected a JPEG or PNG",
            id='compressedDepth',
        ),
        pytest.param(
            b'II*\0' + b'\0' * 40,
            'mono16; tiff compressed ',
            'thermal',
            'unsupported_encoding',
            'found 49 49 2a 00',
            id='TIFF',
        ),
        pytest.param(b'', 'jpeg', 'rgb', 'unsupported_encoding', 'found no data', id='empty'),
        pytest.param(PNG[:20], 'png', 'thermal', 'truncated_data', 'ends within', id='PNG head'),
        pytest.param(PNG[:-1], 'png', 'thermal', 'truncated_data', 'png has no end', id='PNG'),
        pytest.param(JPEG[:-1], 'jpeg', 'thermal', 'truncated_data', 'no end', id='JPEG end'),
        pytest.param(JPEG[:30], 'jpeg', 'thermal', 'truncated_data', 'no size', id='JPEG head'),
        pytest.param(
            JPEG[:2] + b'\xff\xe0\x00\x10' + b'x' * 40,
            'jpeg',
            'rgb',
            'bad_compressed',
            'no JPEG marker at byte 20',
            id='JPEG without markers',
        ),
        pytest.param(
            png(60_000, 60_000),
            'png',
            'thermal',
            'too_large',
            'of 60000x60000 .* at most 67108864 pixels',
            id='PNG bomb',
        ),
        pytest.param(
            jpeg(65_500, 65_500), 'jpeg', 'rgb', 'too_large', '65500x65500', id='JPEG bomb'
        ),
        pytest.param(png(0, 5), 'png', 'thermal', 'empty_image', '5x0', id='no columns'),
        pytest.param(jpeg(5, 0), 'jpeg', 'thermal', 'empty_image', '0x5', id='no rows'),
        pytest.param(
            jpeg(5, 5, bits=12), 'jpeg', 'thermal', 'unsupported_encoding', '12 bits', id='12 bit'
        ),
        pytest.param(
            png(4, 4, body=b'rubbish'), 'png', 'thermal', 'bad_compressed', 'damaged', id='rubbish'
        ),
        pytest.param(jpeg(8, 8), 'jpeg', 'rgb', 'bad_compressed', 'damaged', id='no tables'),
        pytest.param('text', 'png', 'thermal', 'bad_data', 'data of type str', id='text'),
    ],
)
def test_malformed_file_is_refused_with_cause_and_words(data, source, modality, cause, text):
    with pytest.raises(DecodeError, match=text) as e:
        decode_compressed(message(data, source), modality=modality)
    assert e.value.cause == cause


def test_limit_of_pixels_is_checked_before_unpacking():
    rows = zlib.compress(b'\0' * 4001 * 4000, 9)  # 16 MB from 16 kB
    bomb = message(png(4000, 4000, body=rows), 'png')
    with pytest.raises(DecodeError, match='at most 1000000 pixels'):
        decode_compressed(bomb, modality='thermal', max_pixels=1_000_000)
    assert decode_compressed(bomb, modality='thermal').size == (4000, 4000)


@settings(max_examples=150, deadline=None)
@given(
    data=st.data(),
    file=st.sampled_from([JPEG, PNG, PNG16, packed('jpg', smooth(3)), packed('png', smooth(3))]),
    source=st.sampled_from(['jpeg', 'png', 'mono16; png compressed ', '', ';;']),
    modality=st.sampled_from(['thermal', 'rgb']),
)
def test_damaged_file_gives_a_frame_of_its_size_or_a_decode_error(data, file, source, modality):
    damaged = bytearray(file)
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(damaged) - 1))
        damaged[position] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        del damaged[data.draw(st.integers(0, len(damaged))) :]
    try:
        frame = decode_compressed(message(damaged, source), modality=modality, max_pixels=10**6)
    except DecodeError as error:
        assert error.cause
        return
    assert frame.image.ndim == (2 if modality == 'thermal' else 3)
    assert frame.image.dtype in ((np.uint8, np.uint16) if modality == 'thermal' else (np.uint8,))


@settings(max_examples=100, deadline=None)
@given(st.sampled_from([b'', b'\xff\xd8\xff', b'\x89PNG\r\n\x1a\n']), st.binary(max_size=200))
def test_any_bytes_give_a_decode_error(start, rest):
    with pytest.raises(DecodeError):
        decode_compressed(message(start + rest, 'jpeg'), modality='thermal')
