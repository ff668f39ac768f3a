"""Which way boxes take to a publisher."""

from __future__ import annotations

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')

from vision_msgs.msg import Detection2DArray

from thermal_perception.encode import DetectionEncoder, serialize_detections
from thermal_perception.nodes.perception import box_encoder


def test_boxes_are_published_as_bytes():
    assert box_encoder.box_encoder() is serialize_detections


def misread(data, kind):
    return Detection2DArray()


def refuse(data, kind):
    raise RuntimeError('failed to deserialize')


@pytest.mark.parametrize('middleware', [misread, refuse])
def test_boxes_are_published_as_messages_where_the_middleware_does_not_read_our_bytes(
    monkeypatch, middleware
):
    monkeypatch.setattr(box_encoder, 'deserialize_message', middleware)
    assert isinstance(box_encoder.box_encoder(), DetectionEncoder)
