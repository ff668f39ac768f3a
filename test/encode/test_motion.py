from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose
import pytest

pytest.importorskip('vision_msgs', reason='needs the ROS 2 package vision_msgs')

from thermal_perception.encode import to_camera_info, to_detection3d_array, to_odometry
from thermal_perception.geometry.camera import Camera
from thermal_perception.types import Boxes3D

K = np.array([[500.0, 0.0, 319.5], [0.0, 510.0, 255.5], [0.0, 0.0, 1.0]])


def test_camera_info_reads_back_as_the_same_camera():
    message = to_camera_info(K, (512, 640), stamp_ns=7, frame_id='boson')
    camera = Camera.from_camera_info(message)
    assert_allclose(camera.K, K)
    assert camera.size == (512, 640)
    assert_allclose(np.reshape(message.p, (3, 4)), np.column_stack([K, [0, 0, 0]]))
    assert_allclose(np.reshape(message.r, (3, 3)), np.eye(3))
    assert message.distortion_model == 'plumb_bob'
    assert (message.header.stamp.nanosec, message.header.frame_id) == (7, 'boson')


def test_odometry_turned_left_by_90_degrees():
    half = np.sqrt(0.5)
    message = to_odometry(
        np.array([3.0, 4.0, 0.5, 0.0, 0.0, half, half]), linear_mps=np.array([8.0, 0.0, 0.0]),
        angular_radps=np.array([0.0, 0.0, 0.25]), stamp_ns=7, world_frame='map',
        base_frame='base_link',
    )
    assert (message.header.frame_id, message.child_frame_id) == ('map', 'base_link')
    position, q = message.pose.pose.position, message.pose.pose.orientation
    assert (position.x, position.y, position.z) == (3.0, 4.0, 0.5)
    assert_allclose((q.x, q.y, q.z, q.w), (0, 0, half, half))
    assert message.twist.twist.linear.x == 8.0
    assert message.twist.twist.angular.z == 0.25


def test_upright_box_has_heading_size_and_track():
    boxes = Boxes3D(
        np.array([[10.0, -2.0, 0.75]]), np.array([[4.5, 1.8, 1.5]]), np.array([np.pi / 2]),
        np.array([0.5], np.float32), np.array([1]), ('person', 'car'), np.array([17]), 7,
        'base_link',
    )
    message = to_detection3d_array(boxes)
    (detection,) = message.detections
    assert detection.header == message.header
    assert (message.header.stamp.nanosec, message.header.frame_id) == (7, 'base_link')
    assert detection.id == '17'
    hypothesis = detection.results[0].hypothesis
    assert (hypothesis.class_id, hypothesis.score) == ('car', 0.5)
    centre, size = detection.bbox.center, detection.bbox.size
    assert (centre.position.x, centre.position.y, centre.position.z) == (10.0, -2.0, 0.75)
    assert_allclose((centre.orientation.z, centre.orientation.w), np.sqrt([0.5, 0.5]))
    assert (size.x, size.y, size.z) == (4.5, 1.8, 1.5)
    assert detection.results[0].pose.pose == centre


def test_unknown_track_has_no_id():
    one = np.ones((1, 3))
    boxes = Boxes3D(
        one, one, np.zeros(1), np.ones(1, np.float32), np.zeros(1, np.int64), ('person',),
        np.array([-1]), 7, 'base_link',
    )
    assert to_detection3d_array(boxes).detections[0].id == ''


def test_no_boxes_give_an_empty_array():
    none = np.zeros((0, 3))
    boxes = Boxes3D(
        none, none, np.zeros(0), np.zeros(0, np.float32), np.zeros(0, np.int64), ('person',),
        np.zeros(0, np.int64), 7, 'base_link',
    )
    assert to_detection3d_array(boxes).detections == []
