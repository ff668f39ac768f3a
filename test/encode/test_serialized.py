"""Boxes as bytes: those that the middleware makes of the message."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('vision_msgs', reason='needs the ROS 2 package vision_msgs')

from rclpy.serialization import deserialize_message, serialize_message
from vision_msgs.msg import Detection2DArray

from thermal_perception.encode import serialize_detections, to_detection2d_array
from thermal_perception.types import Detections

RNG = np.random.default_rng(0)


def detections(labels, frame_id='boson', names=('person', 'car', 'bicycle', 'other_vehicle')):
    corners = RNG.uniform(-5, 400, (len(labels), 2))
    sizes = RNG.uniform(0, 90, (len(labels), 2))
    return Detections(
        np.hstack((corners, corners + sizes)).astype(np.float32),
        RNG.random(len(labels)).astype(np.float32), np.array(labels, np.int64), names,
        1_700_000_000_123_456_789, frame_id, (512, 640),
    )  # fmt: skip


def test_boxes_are_read_as_centre_and_size_with_class_score_header_and_no_turn():
    found = Detections(
        np.array([(10, 20, 40, 80)], np.float32), np.array([0.5], np.float32), np.array([1]),
        ('person', 'car'), 5_000_000_007, 'boson', (512, 640),
    )  # fmt: skip
    message = deserialize_message(serialize_detections(found), Detection2DArray)
    (box,) = message.detections
    for header in (message.header, box.header):
        assert (header.stamp.sec, header.stamp.nanosec, header.frame_id) == (5, 7, 'boson')
    centre, (result,) = box.bbox.center, box.results
    assert (centre.position.x, centre.position.y, centre.theta) == (25.0, 50.0, 0.0)
    assert (box.bbox.size_x, box.bbox.size_y, box.id) == (30.0, 60.0, '')
    assert (result.hypothesis.class_id, result.hypothesis.score) == ('car', 0.5)
    assert result.pose.pose.orientation.w == 1.0


def assert_same(found):
    """Compare with what the middleware writes; what it leaves between fields is arbitrary."""
    written, message = serialize_detections(found), to_detection2d_array(found)
    assert len(written) == len(serialize_message(message))
    assert deserialize_message(written, Detection2DArray) == message


@pytest.mark.parametrize('labels', [[], [2], [0, 3, 1], [3] * 7 + [1] * 6], ids=len)
@pytest.mark.parametrize('frame_id', ['', 'a', 'cam', 'camera_ü', 'thermal_camera_optical'])
def test_bytes_are_those_of_the_message(labels, frame_id):
    assert_same(detections(labels, frame_id))


@pytest.mark.parametrize('name', ['', 'x', 'car', 'autos', 'bicycle', 'vehicles', 'other_vehicle'])
def test_bytes_are_those_of_the_message_however_long_a_class_is_called(name):
    assert_same(detections([1, 0, 0, 1, 2], names=(name, 'person', f'{name}s')))
