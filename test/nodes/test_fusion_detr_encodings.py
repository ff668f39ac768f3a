"""Every encoding that a thermal camera may publish, sent over DDS and answered."""

from __future__ import annotations

import array

import numpy as np
from numpy.testing import assert_array_equal
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')
pytest.importorskip('vision_msgs', reason='needs the ROS 2 package vision_msgs')

import cv2
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CompressedImage, Image
from vision_msgs.msg import Detection2DArray

from thermal_perception.encode import to_compressed_image, to_header

RAMP = (np.arange(48 * 64) % 251).astype(np.uint8).reshape(48, 64)
DEEP = RAMP.astype(np.uint16) * 257 + 3
KELVIN = RAMP.astype(np.float32) + 250.5
CHROMA = np.full_like(RAMP, 128)


def raw(graph, pixels, encoding, *, big=False, padding=0):
    """A message with `padding` bytes of rubbish behind each row."""
    pixels = pixels.astype(pixels.dtype.newbyteorder('>' if big else '<'))
    rows = np.ascontiguousarray(pixels).view(np.uint8).reshape(48, -1)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=0xEE)
    message = Image(header=to_header(graph.now_ns(), 'boson'), height=48, width=64)
    message.encoding, message.is_bigendian, message.step = encoding, int(big), rows.shape[1]
    message.data = array.array('B', rows.tobytes())
    return message


def colour(image, alpha=False):
    return np.dstack([image] * 3 + [np.full_like(image, 9)] * alpha)


@pytest.mark.parametrize('padding', [0, 6])
@pytest.mark.parametrize(
    ('encoding', 'pixels', 'expected', 'big'),
    [
        ('mono8', RAMP, RAMP, False),
        ('8UC1', RAMP, RAMP, True),
        ('mono16', DEEP, DEEP, False),
        ('mono16', DEEP, DEEP, True),
        ('16UC1', DEEP, DEEP, False),
        ('16UC1', DEEP, DEEP, True),
        ('32FC1', KELVIN, KELVIN, False),
        ('32FC1', KELVIN, KELVIN, True),
        ('bgr8', colour(RAMP), RAMP, False),
        ('rgb8', colour(RAMP), RAMP, False),
        ('bgra8', colour(RAMP, alpha=True), RAMP, False),
        ('rgba8', colour(RAMP, alpha=True), RAMP, False),
        ('yuv422', np.dstack([CHROMA, RAMP]), RAMP, False),
        ('uyvy', np.dstack([CHROMA, RAMP]), RAMP, False),
        ('yuv422_yuy2', np.dstack([RAMP, CHROMA]), RAMP, False),
        ('yuyv', np.dstack([RAMP, CHROMA]), RAMP, False),
    ],
)
def test_raw_image_reaches_the_model_with_its_depth(
    running, encoding, pixels, expected, big, padding
):
    message = raw(running, pixels, encoding, big=big, padding=padding)
    running.images.publish(message)
    (answer,) = running.until(lambda: running.detections)
    assert answer.header == message.header
    (frame,) = running.perceiver.frames
    assert frame.image.dtype == expected.dtype
    assert_array_equal(frame.image, expected)


@pytest.mark.parametrize(
    ('image_format', 'extension', 'image'),
    [
        ('mono8; png compressed ', '.png', RAMP),
        ('16UC1; png compressed ', '.png', DEEP),
        ('mono8; jpeg compressed ', '.jpg', np.full((48, 64), 77, np.uint8)),
        ('jpeg', '.jpg', np.full((48, 64), 77, np.uint8)),
        ('png', '.png', DEEP),
    ],
)
def test_compressed_image_reaches_the_model_with_its_depth(graph, image_format, extension, image):
    graph.start(image_transport='compressed')
    answers = graph.listen(Detection2DArray, '/fusion_detr/detections')
    images = graph.publisher(CompressedImage, 'thermal/image_raw/compressed')
    data = cv2.imencode(extension, image)[1].ravel()
    images.publish(to_compressed_image(data, image_format, stamp_ns=graph.now_ns(), frame_id='f'))
    graph.until(lambda: answers)
    (frame,) = graph.perceiver.frames
    assert frame.image.dtype == image.dtype
    assert_array_equal(frame.image, image)


def test_mosaic_of_a_colour_camera_is_no_thermal_image(running):
    running.watch_diagnostics()
    running.images.publish(raw(running, RAMP, 'bayer_rggb8'))
    running.until_status('thermal input', 'ERROR', 'all images rejected: 1 unsupported_encoding')


def test_message_cut_short_on_the_wire_is_refused(running):
    running.watch_diagnostics()
    serialized = serialize_message(raw(running, RAMP, 'mono8'))
    running.images.publish(serialized[:40])
    running.until_status('thermal input', 'ERROR', 'all images rejected: 1 bad_message')
    running.images.publish(raw(running, RAMP, 'mono8'))
    running.until(lambda: running.detections)


def test_png_damaged_inside_is_refused(graph):
    graph.start(image_transport='compressed')
    images = graph.publisher(CompressedImage, 'thermal/image_raw/compressed')
    graph.watch_diagnostics()
    data = cv2.imencode('.png', DEEP)[1].ravel()
    data[60:-30] ^= 0x5A
    images.publish(
        to_compressed_image(data, '16UC1; png compressed ', stamp_ns=graph.now_ns(), frame_id='f')
    )
    graph.until_status('thermal input', 'ERROR', 'bad_compressed')
