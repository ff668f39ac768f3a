from __future__ import annotations

import sys

import numpy as np
from numpy.testing import assert_array_equal
import pytest

pytest.importorskip('sensor_msgs', reason='needs the ROS 2 package sensor_msgs')

from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CompressedImage, Image

from thermal_perception.decode import decode_image
from thermal_perception.encode import to_compressed_image, to_image


def test_mono16_image_is_laid_out_row_by_row():
    message = to_image(
        np.array([[1, 2, 3], [256, 257, 258]], np.uint16), 'mono16', stamp_ns=7, frame_id='boson'
    )
    assert (message.height, message.width, message.step) == (2, 3, 6)
    assert message.encoding == 'mono16'
    assert message.is_bigendian == (sys.byteorder == 'big')
    assert message.header.stamp.nanosec == 7
    assert message.header.frame_id == 'boson'
    if sys.byteorder == 'little':
        assert bytes(message.data) == bytes([1, 0, 2, 0, 3, 0, 0, 1, 1, 1, 2, 1])


def test_colour_image_steps_three_bytes_per_pixel():
    message = to_image(np.zeros((2, 5, 3), np.uint8), 'bgr8', stamp_ns=0, frame_id='')
    assert (message.step, len(message.data)) == (15, 30)


@pytest.mark.parametrize(
    ('encoding', 'dtype'), [('mono8', np.uint8), ('16UC1', np.uint16), ('32FC1', np.float32)]
)
def test_image_over_the_wire_decodes_to_the_same_values(encoding, dtype):
    image = np.arange(12).reshape(3, 4).astype(dtype)
    message = to_image(image, encoding, stamp_ns=3, frame_id='f')
    received = deserialize_message(serialize_message(message), Image)
    assert_array_equal(decode_image(received, modality='thermal').image, image)


def test_view_that_is_not_contiguous_is_encoded_as_seen():
    image = np.arange(24, dtype=np.uint8).reshape(4, 6)[::2, ::3]
    message = to_image(image, 'mono8', stamp_ns=0, frame_id='')
    assert bytes(message.data) == bytes([0, 3, 12, 15])
    assert message.step == 2


def test_message_does_not_change_with_the_array():
    image = np.zeros((2, 2), np.uint8)
    message = to_image(image, 'mono8', stamp_ns=0, frame_id='')
    image[:] = 9
    assert bytes(message.data) == bytes(4)


@pytest.mark.parametrize(
    ('image', 'encoding', 'text'),
    [
        pytest.param(np.zeros((2, 2), np.uint8), 'mono16', 'found uint8.*uint16', id='depth'),
        pytest.param(np.zeros((2, 2), np.uint8), 'bgr8', '3 channel', id='channels'),
        pytest.param(np.zeros((2, 2, 4), np.uint8), 'bgr8', '3 channel', id='alpha'),
        pytest.param(np.zeros((2, 2), np.uint8), 'mono12', 'expected one of', id='encoding'),
        pytest.param(np.zeros((0, 2), np.uint8), 'mono8', r'shape \(0, 2\)', id='empty'),
    ],
)
def test_array_that_does_not_fit_its_encoding_is_refused(image, encoding, text):
    with pytest.raises(ValueError, match=text):
        to_image(image, encoding, stamp_ns=0, frame_id='')


@pytest.mark.parametrize('data', [b'\xff\xd8', np.array([0xFF, 0xD8], np.uint8)])
def test_compressed_image_holds_format_and_bytes_over_the_wire(data):
    message = to_compressed_image(data, 'mono8; jpeg compressed ', stamp_ns=5, frame_id='f')
    received = deserialize_message(serialize_message(message), CompressedImage)
    assert bytes(received.data) == b'\xff\xd8'
    assert received.format == 'mono8; jpeg compressed '
    assert received.header.stamp.nanosec == 5


def test_images_agree_with_cv_bridge():
    cv_bridge = pytest.importorskip(
        'cv_bridge', reason='the reference cv_bridge is not installed (no wheel of it exists)'
    )
    bridge = cv_bridge.CvBridge()
    rng = np.random.default_rng(1)
    for encoding, image in {
        'mono8': rng.integers(0, 256, (5, 7), np.uint8),
        'mono16': rng.integers(0, 2**16, (5, 7), np.uint16),
        '32FC1': rng.random((5, 7), np.float32),
        'bgr8': rng.integers(0, 256, (5, 7, 3), np.uint8),
    }.items():
        ours = to_image(image, encoding, stamp_ns=0, frame_id='')
        theirs = bridge.cv2_to_imgmsg(image, encoding)
        assert bytes(ours.data) == bytes(theirs.data)
        assert (ours.height, ours.width, ours.step) == (theirs.height, theirs.width, theirs.step)
        if encoding != 'bgr8':
            decoded = decode_image(theirs, modality='thermal').image
            assert_array_equal(decoded, bridge.imgmsg_to_cv2(theirs))
