from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('vision_msgs', reason='needs the ROS 2 package vision_msgs')

from rclpy.serialization import deserialize_message, serialize_message
from vision_msgs.msg import Detection2DArray

from thermal_perception.encode import DetectionEncoder, to_detection2d_array
from thermal_perception.types import Detections

NAMES = ('person', 'car', 'bicycle', 'other_vehicle')


def detections(boxes, scores, labels, *, stamp_ns=1_700_000_000_123_456_789, frame_id='boson'):
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4), np.array(scores, np.float32),
        np.array(labels, np.int64), NAMES, stamp_ns, frame_id, (512, 640),
    )


def rows(message):
    return [
        (
            d.results[0].hypothesis.class_id,
            d.results[0].hypothesis.score,
            d.bbox.center.position.x,
            d.bbox.center.position.y,
            d.bbox.center.theta,
            d.bbox.size_x,
            d.bbox.size_y,
        )
        for d in message.detections
    ]


def test_box_becomes_centre_and_size_in_pixels():
    message = to_detection2d_array(detections([(10, 20, 40, 80)], [0.5], [1]))
    assert rows(message) == [('car', 0.5, 25.0, 50.0, 0.0, 30.0, 60.0)]


def test_header_of_array_and_of_each_detection_is_that_of_the_source():
    message = to_detection2d_array(detections([(0, 0, 1, 1)] * 2, [0.5, 0.25], [0, 3]))
    for header in (message.header, *(d.header for d in message.detections)):
        assert (header.stamp.sec, header.stamp.nanosec) == (1_700_000_000, 123_456_789)
        assert header.frame_id == 'boson'


def test_order_of_the_boxes_stays():
    message = to_detection2d_array(detections([(0, 0, 2, 2)] * 3, [0.75, 0.5, 0.25], [3, 0, 2]))
    assert [row[0] for row in rows(message)] == ['other_vehicle', 'person', 'bicycle']


def test_no_boxes_give_an_empty_array_with_header():
    message = to_detection2d_array(detections([], [], []))
    assert message.detections == []
    assert message.header.frame_id == 'boson'


@pytest.mark.parametrize(
    ('box', 'expected'),
    [
        pytest.param((5, 5, 5, 5), (5, 5, 0, 0), id='zero area'),
        pytest.param((0, 0, 640, 512), (320, 256, 640, 512), id='whole image'),
        pytest.param((-8, -4, 8, 4), (0, 0, 16, 8), id='over the border'),
    ],
)
def test_edges_are_encoded_as_they_are(box, expected):
    message = to_detection2d_array(detections([box], [1.0], [0]))
    _, _, x, y, _, width, height = rows(message)[0]
    assert (x, y, width, height) == expected


def test_encoder_used_again_gives_the_same_as_a_new_one():
    encode = DetectionEncoder()
    many = detections([(1, 2, 3, 4)] * 7, [0.5] * 7, [2] * 7)
    few = detections([(10, 20, 40, 80)], [0.5], [1], stamp_ns=5, frame_id='other')
    for source in (many, few, many):
        assert encode(source) == to_detection2d_array(source)


def test_ids_tell_objects_apart_and_do_not_linger():
    encode = DetectionEncoder()
    pair = detections([(0, 0, 2, 2)] * 2, [0.75, 0.5], [0, 1])
    assert [d.id for d in encode(pair, ids=('7', '9')).detections] == ['7', '9']
    assert [d.id for d in encode(pair).detections] == ['', '']


def test_encoder_message_survives_the_wire():
    message = DetectionEncoder()(detections([(10, 20, 40, 80)], [0.5], [1]))
    assert deserialize_message(serialize_message(message), Detection2DArray) == message
