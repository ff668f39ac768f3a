"""3D boxes for a viewer."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip('visualization_msgs', reason='needs ROS 2 (visualization_msgs)')

from visualization_msgs.msg import Marker

from thermal_perception.encode import to_markers
from thermal_perception.types import Boxes3D


def test_a_cube_where_the_box_is():
    boxes = Boxes3D(
        np.array([[1.0, 2.0, 3.0]]), np.array([[4.0, 1.8, 1.5]]), np.array([math.pi / 2]),
        np.array([0.5], np.float32), np.array([1]), ('car', 'van'), np.array([-1]),
        3_000_000_004, 'base_link',
    )  # fmt: skip
    clear, cube = to_markers(boxes).markers
    assert clear.action == Marker.DELETEALL
    assert (cube.type, cube.action, cube.ns) == (Marker.CUBE, Marker.ADD, 'van')
    assert (cube.header.frame_id, cube.header.stamp.sec) == ('base_link', 3)
    position, turn, size = cube.pose.position, cube.pose.orientation, cube.scale
    assert (position.x, position.y, position.z) == (1.0, 2.0, 3.0)
    assert (turn.z, turn.w) == pytest.approx((math.sqrt(0.5), math.sqrt(0.5)))
    assert (size.x, size.y, size.z) == (4.0, 1.8, 1.5)
    assert cube.color.a == pytest.approx(0.5)


def test_nothing_to_draw_clears_what_was_drawn():
    empty = Boxes3D(
        np.zeros((0, 3)), np.zeros((0, 3)), np.zeros(0), np.zeros(0, np.float32),
        np.zeros(0, np.int64), ('car',), np.zeros(0, np.int64), 0, 'base_link',
    )  # fmt: skip
    assert [m.action for m in to_markers(empty).markers] == [Marker.DELETEALL]
