from __future__ import annotations

import array
from types import SimpleNamespace
from typing import Any

import cv2
from hypothesis import given, settings
import hypothesis.strategies as st
import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
import pytest

from thermal_perception.decode.image import decode_image, ENCODINGS
from thermal_perception.decode.units import thermal_units, ThermalUnits
from thermal_perception.errors import DecodeError


def message(image: np.ndarray, encoding: str, /, *, padding: int = 0, **fields: Any) -> Any:
    """A sensor_msgs/Image of rows of `image`, each followed by `padding` bytes of 0xEE."""
    rows = np.ascontiguousarray(image).view(np.uint8).reshape(image.shape[0], -1)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=0xEE)
    values: dict[str, Any] = {
        'header': SimpleNamespace(stamp=SimpleNamespace(sec=12, nanosec=34), frame_id='cam'),
        'height': image.shape[0],
        'width': image.shape[1],
        'encoding': encoding,
        'is_bigendian': 0,
        'step': rows.shape[1],
        'data': rows.tobytes(),
    }
    return SimpleNamespace(**(values | fields))


GREY8 = np.array([[0, 1, 2], [3, 254, 255]], np.uint8)
GREY16 = np.array([[0, 258, 2], [16383, 30000, 65535]], np.uint16)
KELVIN = np.array([[273.15, np.nan, -1.0], [0.0, 300.5, np.inf]], np.float32)
BGR = np.array([[[10, 20, 30], [40, 50, 60]], [[70, 80, 90], [0, 128, 255]]], np.uint8)


@pytest.mark.parametrize('padding', [0, 1, 2, 7, 64])
@pytest.mark.parametrize(
    ('encoding', 'image'),
    [
        ('mono8', GREY8),
        ('8UC1', GREY8),
        ('mono16', GREY16),
        ('16UC1', GREY16),
        ('32FC1', KELVIN),
    ],
)
def test_thermal_image_keeps_type_and_values_with_any_step(encoding, image, padding):
    frame = decode_image(message(image, encoding, padding=padding), modality='thermal')
    assert frame.image.dtype == image.dtype
    assert_array_equal(frame.image, image)


@pytest.mark.parametrize('padding', [0, 3])
@pytest.mark.parametrize(('encoding', 'image'), [('mono16', GREY16), ('32FC1', KELVIN)])
def test_big_endian_image_equals_its_little_endian_twin(encoding, image, padding):
    swapped = message(image.byteswap(), encoding, padding=padding, is_bigendian=1)
    frame = decode_image(swapped, modality='thermal')
    assert frame.image.dtype.isnative
    assert_array_equal(frame.image, image)


def test_byte_order_of_single_bytes_does_not_matter():
    frame = decode_image(message(GREY8, 'mono8', is_bigendian=1), modality='thermal')
    assert_array_equal(frame.image, GREY8)


@pytest.mark.parametrize('padding', [0, 6])
@pytest.mark.parametrize(
    ('modality', 'encoding', 'image'),
    [
        ('thermal', 'mono8', GREY8),
        ('thermal', 'mono16', GREY16),
        ('thermal', '32FC1', KELVIN),
        ('rgb', 'bgr8', BGR),
    ],
)
def test_native_image_is_a_read_only_view_of_the_message(modality, encoding, image, padding):
    padding += -padding % image.dtype.itemsize
    msg = message(image, encoding, padding=padding)
    msg.data = array.array('B', msg.data)
    decoded = decode_image(msg, modality=modality).image
    before = decoded.copy()
    msg.data[0] ^= 0x55
    assert (decoded != before).any()
    assert not decoded.flags.writeable


@pytest.mark.parametrize(
    'kind',
    [
        pytest.param(bytes, id='bytes'),
        pytest.param(bytearray, id='bytearray'),
        pytest.param(memoryview, id='memoryview'),
        pytest.param(lambda b: array.array('B', b), id='array.array'),
        pytest.param(lambda b: np.frombuffer(b, np.uint8), id='ndarray'),
        pytest.param(list, id='list'),
    ],
)
def test_image_is_the_same_for_any_kind_of_data(kind):
    msg = message(GREY16, 'mono16')
    msg.data = kind(msg.data)
    assert_array_equal(decode_image(msg, modality='thermal').image, GREY16)


def test_frame_carries_stamp_frame_and_encoding_of_the_message():
    frame = decode_image(message(GREY8, 'mono8'), modality='thermal')
    assert (frame.stamp_ns, frame.frame_id) == (12_000_000_034, 'cam')
    assert (frame.modality, frame.encoding, frame.size) == ('thermal', 'mono8', (2, 3))


@pytest.mark.parametrize('padding', [0, 5])
@pytest.mark.parametrize(
    ('encoding', 'image'),
    [
        pytest.param('bgr8', BGR, id='bgr8'),
        pytest.param('rgb8', BGR[..., ::-1], id='rgb8'),
        pytest.param('bgra8', np.dstack([BGR, np.full((2, 2), 9, np.uint8)]), id='bgra8'),
        pytest.param(
            'rgba8', np.dstack([BGR[..., ::-1], np.full((2, 2), 9, np.uint8)]), id='rgba8'
        ),
    ],
)
def test_colour_image_becomes_bgr(encoding, image, padding):
    frame = decode_image(message(image, encoding, padding=padding), modality='rgb')
    assert frame.image.dtype == np.uint8
    assert_array_equal(frame.image, BGR)


def test_grey_image_of_rgb_camera_becomes_three_equal_channels():
    frame = decode_image(message(GREY8, 'mono8'), modality='rgb')
    assert_array_equal(frame.image, np.dstack([GREY8] * 3))


# BT.601 studio range: Y 81, U 90, V 240 is red; Y 41, U 240, V 110 is blue; Y 16 is black.
@pytest.mark.parametrize('padding', [0, 3])
@pytest.mark.parametrize(
    ('encoding', 'pair'),
    [
        pytest.param('yuv422', lambda y, u, v: (u, y, v, y), id='yuv422'),
        pytest.param('uyvy', lambda y, u, v: (u, y, v, y), id='uyvy'),
        pytest.param('yuv422_yuy2', lambda y, u, v: (y, u, y, v), id='yuv422_yuy2'),
        pytest.param('yuyv', lambda y, u, v: (y, u, y, v), id='yuyv'),
    ],
)
def test_yuv422_pixels_have_their_colour(encoding, pair, padding):
    rows = [pair(81, 90, 240) + pair(41, 240, 110), pair(16, 128, 128) + pair(235, 128, 128)]
    image = np.array(rows, np.uint8).reshape(2, 4, 2)
    frame = decode_image(message(image, encoding, padding=padding), modality='rgb')
    red, blue, black, white = [0, 0, 255], [255, 0, 0], [0, 0, 0], [255, 255, 255]
    assert_allclose(frame.image, [[red, red, blue, blue], [black, black, white, white]], atol=2)


@pytest.mark.parametrize(
    ('encoding', 'pixels'),
    [('yuv422', [[128, 7], [128, 200]]), ('yuv422_yuy2', [[7, 128], [200, 128]])],
)
def test_yuv422_of_thermal_camera_becomes_its_brightness(encoding, pixels):
    frame = decode_image(message(np.array([pixels], np.uint8), encoding), modality='thermal')
    assert_array_equal(frame.image, [[7, 200]])


def mosaic(pattern: str, rgb: dict[str, int], size: tuple[int, int] = (8, 10)) -> np.ndarray:
    """A uniformly coloured scene through a Bayer filter; `pattern` names pixels row by row."""
    image = np.empty(size, np.uint8)
    for index, colour in enumerate(pattern):
        image[index // 2 :: 2, index % 2 :: 2] = rgb[colour]
    return image


@pytest.mark.parametrize('padding', [0, 3])
@pytest.mark.parametrize('pattern', ['rggb', 'bggr', 'gbrg', 'grbg'])
def test_bayer_mosaic_of_uniform_colour_gives_that_colour(pattern, padding):
    image = mosaic(pattern, {'r': 200, 'g': 100, 'b': 50})
    frame = decode_image(message(image, f'bayer_{pattern}8', padding=padding), modality='rgb')
    assert_array_equal(frame.image, np.broadcast_to([50, 100, 200], (8, 10, 3)))


@pytest.mark.parametrize('size', [(1, 1), (1, 6), (2, 2), (3, 3), (5, 7)])
def test_bayer_image_of_any_small_size_keeps_its_size(size):
    image = mosaic('rggb', {'r': 9, 'g': 9, 'b': 9}, size)
    frame = decode_image(message(image, 'bayer_rggb8'), modality='rgb')
    assert frame.image.shape == (*size, 3)


@pytest.mark.parametrize(
    ('encoding', 'channels'), [('bgr8', 3), ('rgb8', 3), ('bgra8', 4), ('rgba8', 4)]
)
def test_thermal_image_published_as_colour_becomes_grey(encoding, channels):
    image = np.dstack([GREY8] * channels)
    frame = decode_image(message(image, encoding), modality='thermal')
    assert_array_equal(frame.image, GREY8)


def test_units_of_16_bit_image_are_those_given():
    units = thermal_units('temperature_linear_10mk')
    frame = decode_image(message(GREY16, 'mono16'), modality='thermal', units=units)
    assert (frame.unit, frame.scale, frame.offset) == ('kelvin', 0.01, 0.0)
    assert frame.valid_bits == 16


def test_units_of_8_bit_image_are_counts_when_those_given_are_of_16_bits():
    units = thermal_units('temperature_linear_10mk')
    frame = decode_image(message(GREY8, 'mono8'), modality='thermal', units=units)
    assert (frame.unit, frame.scale, frame.offset, frame.valid_bits) == ('counts', 1.0, 0.0, 8)


def test_units_of_8_bit_image_are_those_given_when_they_are_of_8_bits():
    units = ThermalUnits('celsius', 0.5, -20.0, valid_bits=8)
    frame = decode_image(message(GREY8, 'mono8'), modality='thermal', units=units)
    assert (frame.unit, frame.scale, frame.offset, frame.valid_bits) == ('celsius', 0.5, -20.0, 8)


def test_valid_bits_of_float_image_are_unknown():
    units = thermal_units('y14_raw')
    assert (
        decode_image(message(KELVIN, '32FC1'), modality='thermal', units=units).valid_bits is None
    )


def test_units_do_not_touch_rgb():
    units = thermal_units('temperature_linear_10mk')
    frame = decode_image(message(BGR, 'bgr8'), modality='rgb', units=units)
    assert (frame.unit, frame.scale, frame.valid_bits) == ('counts', 1.0, None)


def test_last_row_may_lack_its_padding():
    msg = message(GREY8, 'mono8', padding=5)
    msg.data = msg.data[:-5]
    assert_array_equal(decode_image(msg, modality='thermal').image, GREY8)


@pytest.mark.parametrize(
    ('fields', 'cause', 'text'),
    [
        pytest.param(
            {'encoding': 'rgb16'},
            'unsupported_encoding',
            "image 'rgb16' of 2x3 .* expected one of mono8, 8UC1, mono16",
            id='encoding',
        ),
        pytest.param({'encoding': ''}, 'unsupported_encoding', "image ''", id='no encoding'),
        pytest.param(
            {'encoding': 'bayer_rggb8'}, 'unsupported_encoding', 'thermal image', id='bayer'
        ),
        pytest.param({'height': 0}, 'empty_image', '0x3 .* expected at least 1x1', id='no rows'),
        pytest.param({'width': 0}, 'empty_image', '2x0', id='no columns'),
        pytest.param(
            {'height': 2**32 - 1, 'width': 2**32 - 1, 'step': 2**32 - 1},
            'too_large',
            'expected at most 67108864 pixels',
            id='huge',
        ),
        pytest.param(
            {'step': 5}, 'bad_step', 'with step 5: expected a step of at least 6 bytes', id='step'
        ),
        pytest.param({'step': 0}, 'bad_step', 'step 0', id='no step'),
        pytest.param(
            {'data': b'\0' * 11},
            'truncated_data',
            "'mono16' of 2x3 .* found 11 bytes, expected 12",
            id='one byte short',
        ),
        pytest.param({'data': b''}, 'truncated_data', 'found 0 bytes', id='no data'),
        pytest.param(
            {'step': 2**31}, 'truncated_data', 'expected 4294967296', id='step beyond the data'
        ),
        pytest.param(
            {'is_bigendian': 2}, 'bad_endianness', 'found is_bigendian 2', id='byte order'
        ),
        pytest.param({'data': 'text'}, 'bad_data', 'data of type str', id='text'),
    ],
)
def test_malformed_thermal_message_is_refused_with_cause_and_numbers(fields, cause, text):
    with pytest.raises(DecodeError, match=text) as e:
        decode_image(message(GREY16, 'mono16', **fields), modality='thermal')
    assert e.value.cause == cause


@pytest.mark.parametrize('encoding', ['mono16', '16UC1', '32FC1'])
def test_deep_grey_image_of_rgb_camera_is_refused(encoding):
    with pytest.raises(DecodeError, match=f"rgb image '{encoding}'") as e:
        decode_image(message(KELVIN, encoding), modality='rgb')
    assert e.value.cause == 'unsupported_encoding'


@pytest.mark.parametrize('modality', ['thermal', 'rgb'])
def test_yuv422_of_odd_width_is_refused(modality):
    with pytest.raises(DecodeError, match=r'2x3 .* expected an even width') as e:
        decode_image(message(np.zeros((2, 3, 2), np.uint8), 'yuv422'), modality=modality)
    assert e.value.cause == 'bad_size'


def test_limit_of_pixels_is_a_parameter():
    msg = message(GREY8, 'mono8')
    assert decode_image(msg, modality='thermal', max_pixels=6).size == (2, 3)
    with pytest.raises(DecodeError, match='expected at most 5 pixels'):
        decode_image(msg, modality='thermal', max_pixels=5)


SIZES = st.one_of(st.integers(0, 9), st.integers(0, 2**32 - 1))


@settings(max_examples=200, deadline=None)
@given(
    modality=st.sampled_from(['thermal', 'rgb']),
    encoding=st.one_of(st.sampled_from(sorted(ENCODINGS)), st.text(max_size=12)),
    height=SIZES,
    width=SIZES,
    step=st.one_of(st.integers(0, 40), st.integers(0, 2**32 - 1)),
    is_bigendian=st.integers(0, 255),
    data=st.binary(max_size=400),
)
def test_any_message_gives_a_frame_of_its_size_or_a_decode_error(
    modality, encoding, height, width, step, is_bigendian, data
):
    msg = message(
        GREY8,
        encoding,
        height=height,
        width=width,
        step=step,
        is_bigendian=is_bigendian,
        data=data,
    )
    try:
        frame = decode_image(msg, modality=modality)
    except DecodeError as error:
        assert error.cause
        return
    assert frame.size == (height, width)
    assert frame.image.ndim == (2 if modality == 'thermal' else 3)
    assert frame.image.dtype.isnative


@pytest.mark.parametrize('encoding', ['mono8', 'mono16', '32FC1', 'bgr8', 'rgb8', 'yuv422'])
def test_rosbags_message_decodes_like_any_other(encoding):
    rosbags = pytest.importorskip('rosbags.typesys', reason='rosbags is not installed')
    store = rosbags.get_typestore(rosbags.Stores.ROS2_HUMBLE)
    types = store.types
    e = ENCODINGS[encoding]
    image = np.arange(2 * 4 * e.channels, dtype=e.dtype).reshape(2, 4, e.channels)
    header = types['std_msgs/msg/Header'](types['builtin_interfaces/msg/Time'](5, 6), 'bag')
    raw = np.frombuffer(image.tobytes(), np.uint8)
    step = raw.size // 2
    original = types['sensor_msgs/msg/Image'](header, 2, 4, encoding, 0, step, raw)
    packed = store.serialize_cdr(original, 'sensor_msgs/msg/Image')
    msg = store.deserialize_cdr(packed, 'sensor_msgs/msg/Image')
    frame = decode_image(msg, modality='thermal')
    assert (frame.stamp_ns, frame.frame_id) == (5_000_000_006, 'bag')
    expected = decode_image(message(image, encoding), modality='thermal')
    assert_array_equal(frame.image, expected.image)


@pytest.mark.parametrize('encoding', ['mono8', 'mono16', '32FC1', 'bgr8', 'rgb8', 'bayer_rggb8'])
def test_cv_bridge_agrees(encoding):
    cv_bridge = pytest.importorskip('cv_bridge', reason='cv_bridge is not installed')
    sensor_msgs = pytest.importorskip('sensor_msgs.msg', reason='sensor_msgs is not installed')
    e = ENCODINGS[encoding]
    count = 12 * 16 * e.channels
    image = (np.arange(count) % 251).astype(e.dtype).reshape(12, 16, e.channels)
    msg = sensor_msgs.Image(
        height=12,
        width=16,
        encoding=encoding,
        step=16 * e.channels * image.dtype.itemsize,
        data=image.tobytes(),
    )
    colour = e.channels == 3 or encoding.startswith('bayer')
    expected = cv_bridge.CvBridge().imgmsg_to_cv2(msg, 'bgr8' if colour else 'passthrough')
    frame = decode_image(msg, modality='rgb' if colour else 'thermal')
    assert_array_equal(frame.image, expected)


def test_opencv_is_the_reference_for_a_mosaic_with_edges():
    image = np.random.default_rng(1).integers(0, 256, (16, 16)).astype(np.uint8)
    frame = decode_image(message(image, 'bayer_rggb8'), modality='rgb')
    assert_array_equal(frame.image, cv2.cvtColor(image, cv2.COLOR_BayerBG2BGR))
