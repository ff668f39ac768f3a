"""Serialized images: bytes worked out by hand, what rclpy serializes, and bytes that end early."""

from __future__ import annotations

import array
import struct

import pytest

from thermal_perception.decode import read_compressed_image, read_image, stamp_ns_of
from thermal_perception.errors import DecodeError

# Header 7 s 9 ns "cam"; 1 row of 2 pixels; "mono8"; little endian; step 2; data 10, 20.
BY_HAND = bytes.fromhex(
    '00010000'  # CDR, little endian
    '07000000 09000000'
    '04000000 63616d00'  # "cam" and its zero
    '01000000 02000000'
    '06000000 6d6f6e6f3800'  # "mono8" and its zero, up to byte 34
    '00'  # is_bigendian
    '00'  # aligns step to 4
    '02000000'
    '02000000 0a14'
)


def test_image_worked_out_by_hand():
    image = read_image(BY_HAND)
    assert stamp_ns_of(image.header) == 7_000_000_009
    assert image.header.frame_id == 'cam'
    assert (image.height, image.width, image.encoding) == (1, 2, 'mono8')
    assert (image.is_bigendian, image.step) == (0, 2)
    assert bytes(image.data) == b'\x0a\x14'
    assert image.data.obj is BY_HAND  # a view, no copy


def test_big_endian_bytes_and_times_before_1970():
    body = struct.pack('>iII2sxx', -1, 5, 2, b'c\0')
    body += struct.pack('>II', 3, 4) + struct.pack('>I2sBx', 2, b'm\0', 1)
    body += struct.pack('>II', 8, 1) + b'\x01'
    image = read_image(b'\x00\x00\x00\x00' + body)
    assert stamp_ns_of(image.header) == -999_999_995
    assert (image.height, image.width, image.step, image.is_bigendian) == (3, 4, 8, 1)


@pytest.mark.parametrize('length', range(len(BY_HAND)))
def test_bytes_that_end_early_are_refused(length):
    with pytest.raises(DecodeError, match='serialized image: found') as info:
        read_image(BY_HAND[:length])
    assert info.value.cause == 'bad_message'


def test_length_beyond_the_end_is_refused():
    hostile = bytearray(BY_HAND)
    hostile[-6:-2] = b'\xff\xff\xff\xff'
    with pytest.raises(DecodeError, match='expected 42949'):
        read_image(bytes(hostile))


def test_parameter_list_is_refused():
    with pytest.raises(DecodeError, match='found representation 0003, expected CDR'):
        read_image(b'\x00\x03\x00\x00' + BY_HAND[4:])


@pytest.mark.parametrize('frame_id', ['', 'a', 'ab', 'abc', 'abcd', 'wärme/кадр'])
@pytest.mark.parametrize('encoding', ['', '8', 'mono8', 'mono16', 'bayer_rggb8'])
def test_image_of_rclpy_is_read_alike(frame_id, encoding):
    serialization = pytest.importorskip('rclpy.serialization', reason='needs ROS 2 (rclpy)')
    from sensor_msgs.msg import Image

    message = Image(height=3, width=5, encoding=encoding, is_bigendian=1, step=7)
    message.header.frame_id = frame_id
    message.header.stamp.sec, message.header.stamp.nanosec = -3, 999_999_999
    message.data = array.array('B', range(21))
    read = read_image(serialization.serialize_message(message))
    assert stamp_ns_of(read.header) == stamp_ns_of(message.header)
    assert read.header.frame_id == frame_id
    for field in ('height', 'width', 'encoding', 'is_bigendian', 'step'):
        assert getattr(read, field) == getattr(message, field)
    assert bytes(read.data) == bytes(message.data)


@pytest.mark.parametrize('kind', ['', 'jpeg', '16UC1; png compressed '])
def test_compressed_image_of_rclpy_is_read_alike(kind):
    serialization = pytest.importorskip('rclpy.serialization', reason='needs ROS 2 (rclpy)')
    from sensor_msgs.msg import CompressedImage

    message = CompressedImage(format=kind, data=array.array('B', b'\x89PNG'))
    message.header.frame_id = 'thermal'
    read = read_compressed_image(serialization.serialize_message(message))
    assert (read.format, read.header.frame_id, bytes(read.data)) == (kind, 'thermal', b'\x89PNG')
