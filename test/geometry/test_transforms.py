from __future__ import annotations

from hypothesis import given, settings
import hypothesis.strategies as st
import numpy as np
from numpy.testing import assert_allclose
import pytest
from scipy.spatial.transform import Rotation

from thermal_perception.errors import GeometryError
from thermal_perception.geometry.transforms import (
    as_transform,
    compose,
    displaced_camera,
    from_rotation,
    from_xyz_quat,
    from_xyz_rpy,
    invert,
    T_OPTICAL_BODY,
    to_xyz_quat,
    transform_points,
)

HALF = np.sqrt(0.5)
POSES = st.tuples(
    st.lists(st.floats(-50.0, 50.0), min_size=3, max_size=3),
    st.lists(st.floats(-1.0, 1.0), min_size=4, max_size=4).filter(
        lambda q: np.linalg.norm(q) > 1e-3
    ),
).map(lambda pose: [*pose[0], *(np.array(pose[1]) / np.linalg.norm(pose[1]))])


def test_quarter_turn_about_z_brings_x_to_y():
    T = from_xyz_quat([1.0, 2.0, 3.0, 0.0, 0.0, HALF, HALF])
    assert_allclose(transform_points(T, [[1.0, 0.0, 0.0]]), [[1.0, 3.0, 3.0]], atol=1e-12)


@pytest.mark.parametrize(
    ('quaternion', 'image_of_xyz'),
    [
        pytest.param([0, 0, 0, 1], np.eye(3), id='no turn'),
        pytest.param([1, 0, 0, 0], np.diag([1, -1, -1]), id='half turn about x'),
        pytest.param([0, 1, 0, 0], np.diag([-1, 1, -1]), id='half turn about y'),
        pytest.param([0, 0, 1, 0], np.diag([-1, -1, 1]), id='half turn about z'),
        pytest.param([0.5, 0.5, 0.5, 0.5], [[0, 1, 0], [0, 0, 1], [1, 0, 0]], id='x y z to y z x'),
    ],
)
def test_axes_turn_as_the_quaternion_says_and_it_is_read_back(quaternion, image_of_xyz):
    T = from_xyz_quat([0, 0, 0, *quaternion])
    assert_allclose(transform_points(T, np.eye(3)), image_of_xyz, atol=1e-12)
    back = to_xyz_quat(T)
    assert_allclose(np.abs(back[3:] @ np.array(quaternion)), 1.0)


def test_optical_frame_looks_along_the_body_x_axis():
    forward, left, up = np.eye(3)
    points = transform_points(T_OPTICAL_BODY, [forward, left, up])
    assert_allclose(points, [[0, 0, 1], [-1, 0, 0], [0, -1, 0]])


def test_yaw_turns_left_and_pitch_turns_down():
    left = from_xyz_rpy([0, 0, 0], [0, 0, np.pi / 2])
    down = from_xyz_rpy([0, 0, 0], [0, np.pi / 2, 0])
    assert_allclose(transform_points(left, [[1, 0, 0]]), [[0, 1, 0]], atol=1e-12)
    assert_allclose(transform_points(down, [[1, 0, 0]]), [[0, 0, -1]], atol=1e-12)


@settings(deadline=None)
@given(st.lists(st.floats(-7.0, 7.0), min_size=3, max_size=3))
def test_roll_pitch_yaw_agree_with_scipy(rpy):
    expected = Rotation.from_euler('xyz', rpy).as_matrix()
    assert_allclose(from_xyz_rpy([0, 0, 0], rpy)[:3, :3], expected, atol=1e-12)


@settings(deadline=None)
@given(POSES)
def test_quaternions_agree_with_scipy_both_ways(pose):
    T = from_xyz_quat(pose)
    assert_allclose(T[:3, :3], Rotation.from_quat(pose[3:]).as_matrix(), atol=1e-12)
    back = to_xyz_quat(T)
    assert back[6] >= 0.0
    assert_allclose(back[:3], pose[:3])
    sign = np.sign(np.dot(back[3:], pose[3:]))
    assert_allclose(back[3:] * sign, pose[3:], atol=1e-7)


@settings(deadline=None)
@given(POSES)
def test_inverse_of_a_transform_undoes_it(pose):
    T = from_xyz_quat(pose)
    points = np.array([[1.0, -2.0, 3.0], [0.0, 0.0, 0.0]])
    assert_allclose(transform_points(invert(T), transform_points(T, points)), points, atol=1e-9)
    assert_allclose(invert(T), np.linalg.inv(T), atol=1e-9)


def test_composed_transforms_act_from_right_to_left():
    T_a_b = from_xyz_quat([1, 0, 0, 0, 0, HALF, HALF])
    T_b_c = from_xyz_quat([0, 5, 0, 0, 0, 0, 1])
    assert_allclose(transform_points(compose(T_a_b, T_b_c), [[0, 0, 0]]), [[-4, 0, 0]], atol=1e-12)
    assert_allclose(compose(), np.eye(4))


def test_a_displaced_camera_stands_elsewhere_and_looks_another_way():
    camera = compose(from_xyz_rpy([10, 20, 6], [0, 0.3, 0]), invert(T_OPTICAL_BODY))
    moved = displaced_camera(invert(camera), x_m=1.0, y_m=-2.0, yaw_rad=np.pi / 2)
    T_world_camera = invert(moved)
    assert_allclose(T_world_camera[:3, 3], [11, 18, 6], atol=1e-12)
    before, after = camera[:3, 2], T_world_camera[:3, 2]  # where it looks: along x, then along y
    assert_allclose(after, [-before[1], before[0], before[2]], atol=1e-12)
    same = displaced_camera(invert(camera), x_m=0.0, y_m=0.0, yaw_rad=0.0)
    assert_allclose(same, invert(camera), atol=1e-12)


def test_no_points_stay_no_points():
    assert transform_points(np.eye(4), []).shape == (0, 3)


def test_quaternion_rounded_by_hand_is_normalised():
    T = from_xyz_quat([0, 0, 0, 0, 0, 0.7071, 0.7071])
    assert_allclose(T[:3, :3] @ T[:3, :3].T, np.eye(3), atol=1e-12)


@pytest.mark.parametrize(
    ('make', 'text'),
    [
        pytest.param(
            lambda: from_xyz_quat([0, 0, 0, 0, 0, 0, 0]), 'found length 0 ', id='no quaternion'
        ),
        pytest.param(
            lambda: from_xyz_quat([0, 0, 0, 1, 1, 0, 0]), 'found length 1.414', id='long'
        ),
        pytest.param(lambda: from_xyz_quat([0, 0, 1]), 'expected 7 finite numbers', id='three'),
        pytest.param(
            lambda: from_xyz_quat([np.nan, 0, 0, 0, 0, 0, 1]), '7 finite numbers', id='NaN'
        ),
        pytest.param(lambda: from_xyz_rpy([0, 0, 0], [0, 0]), '3 finite numbers', id='two angles'),
        pytest.param(lambda: as_transform(np.eye(3)), r'found shape \(3, 3\)', id='3x3'),
        pytest.param(lambda: as_transform(2.0 * np.eye(4)), 'determinant 8 ', id='scaled'),
        pytest.param(
            lambda: as_transform(np.diag([1.0, 1.0, -1.0, 1.0])), 'determinant -1 ', id='mirrored'
        ),
        pytest.param(
            lambda: from_rotation(np.eye(2)), r'expected \(3, 3\) and \(3,\)', id='2x2 rotation'
        ),
        pytest.param(
            lambda: transform_points(np.eye(4), [[1.0, 2.0]]), r'expected \(N, 3\)', id='2D points'
        ),
    ],
)
def test_malformed_transform_is_refused(make, text):
    with pytest.raises(GeometryError, match=text):
        make()
