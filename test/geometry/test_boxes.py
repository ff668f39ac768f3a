"""Upright boxes, their corners and the same boxes in another frame, by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from thermal_perception.errors import GeometryError
from thermal_perception.geometry import boxes_in, corners_3d, from_xyz_rpy, invert
from thermal_perception.types import Boxes3D


def boxes(*rows):
    array = np.array(rows, float).reshape(-1, 4)
    n = len(array)
    return Boxes3D(
        array[:, :3], np.full((n, 3), 2.0), array[:, 3], np.ones(n, np.float32),
        np.zeros(n, np.int64), ('car',), np.full(n, -1), 5, 'lidar',
    )  # fmt: skip


def test_lifted_and_turned():
    T = from_xyz_rpy((1.0, 0.0, 2.0), (0.0, 0.0, np.pi / 2))
    moved = boxes_in(T, boxes((10.0, 3.0, -1.0, 0.0), (0.0, 0.0, 0.0, np.pi)), 'base_link')
    np.testing.assert_allclose(moved.centres_m, [[-2.0, 10.0, 1.0], [1.0, 0.0, 2.0]], atol=1e-12)
    np.testing.assert_allclose(moved.yaws_rad, [np.pi / 2, -np.pi / 2])
    assert (moved.frame_id, moved.stamp_ns) == ('base_link', 5)


def test_there_and_back():
    T = from_xyz_rpy((1.0, -2.0, 0.5), (0.0, 0.0, 1.0))
    there = boxes((10.0, 3.0, -1.0, 0.4), (4.0, -7.0, 0.0, -3.0))
    back = boxes_in(invert(T), boxes_in(T, there, 'a'), 'lidar')
    np.testing.assert_allclose(back.centres_m, there.centres_m)
    np.testing.assert_allclose(back.yaws_rad, there.yaws_rad)


def test_corners_of_a_box_that_goes_along_x_and_of_one_that_goes_along_y():
    along = boxes((10.0, 3.0, 1.0, 0.0), (10.0, 3.0, 1.0, np.pi / 2))
    corners = corners_3d(replace(along, sizes_m=np.full((2, 3), (4.0, 2.0, 1.5))))
    low = [[12, 4, 0.25], [12, 2, 0.25], [8, 2, 0.25], [8, 4, 0.25]]
    np.testing.assert_allclose(corners[0, :4], low)
    np.testing.assert_allclose(corners[0, 4:] - corners[0, :4], [[0, 0, 1.5]] * 4)
    low = [[9, 5, 0.25], [11, 5, 0.25], [11, 1, 0.25], [9, 1, 0.25]]
    np.testing.assert_allclose(corners[1, :4], low)


def test_no_boxes():
    assert len(boxes_in(np.eye(4), boxes(), 'base_link')) == 0
    assert corners_3d(boxes()).shape == (0, 8, 3)


def test_what_is_no_transform():
    with pytest.raises(GeometryError):
        boxes_in(np.eye(3), boxes(), 'base_link')
