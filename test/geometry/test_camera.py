from __future__ import annotations

from types import SimpleNamespace

import cv2
from hypothesis import given, settings
import hypothesis.strategies as st
import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
import pytest

from thermal_perception.errors import GeometryError
from thermal_perception.geometry.camera import (
    Camera,
    project,
    scale_K,
    undistort_points,
    unproject,
)


def intrinsics(f: float = 100.0, cx: float = 32.0, cy: float = 24.0) -> np.ndarray:
    return np.array([[f, 0.0, cx], [0.0, f, cy], [0.0, 0.0, 1.0]])


PLUMB_BOB = [-0.28, 0.09, 1e-3, -5e-4, -0.01]
RATIONAL = [0.9, -0.3, 2e-4, -3e-4, 0.02, 1.2, -0.2, 0.01]


def test_project_point_on_axis_lands_on_principal_point():
    K = intrinsics(f=100.0, cx=32.0, cy=24.0)
    assert_allclose(project([[0.0, 0.0, 5.0]], K), [[32.0, 24.0]])


def test_project_point_to_the_right_and_below_moves_right_and_down():
    assert_allclose(project([[1.0, 2.0, 5.0]], intrinsics()), [[52.0, 64.0]])


def test_project_with_skew_and_two_focal_lengths():
    K = [[100.0, 10.0, 32.0], [0.0, 200.0, 24.0], [0.0, 0.0, 1.0]]
    assert_allclose(project([[1.0, 2.0, 10.0]], K), [[44.0, 64.0]])


@pytest.mark.parametrize('z', [0.0, -1.0])
@pytest.mark.parametrize('D', [[], PLUMB_BOB])
def test_project_point_behind_the_camera_is_nan(z, D):
    points = project([[0.0, 0.0, z], [0.0, 0.0, 1.0]], intrinsics(), D)
    assert_array_equal(np.isnan(points), [[True, True], [False, False]])


def test_project_with_radial_distortion_by_hand():
    # r^2 = 0.25, factor 1 - 0.4 * 0.25 = 0.9, so x = 0.45
    pixels = project([[1.0, 0.0, 2.0]], intrinsics(), [-0.4, 0.0, 0.0, 0.0])
    assert_allclose(pixels, [[77.0, 24.0]])


def test_project_with_tangential_distortion_by_hand():
    # x = 0.5, y = 0: dx = p2 (r^2 + 2 x^2) = 0.02 * 0.75, dy = p1 r^2 = 0.01 * 0.25
    pixels = project([[1.0, 0.0, 2.0]], intrinsics(), [0.0, 0.0, 0.01, 0.02])
    assert_allclose(pixels, [[32.0 + 51.5, 24.0 + 0.25]])


@pytest.mark.parametrize('D', [[], PLUMB_BOB[:4], PLUMB_BOB, RATIONAL])
def test_project_agrees_with_opencv(D):
    points = np.random.default_rng(0).uniform([-2, -2, 4], [2, 2, 9], (200, 3))
    K = intrinsics(f=500.0, cx=320.0, cy=256.0)
    expected = cv2.projectPoints(points, np.zeros(3), np.zeros(3), K, np.array(D))[0][:, 0]
    assert_allclose(project(points, K, D), expected, atol=1e-9)


def test_project_far_off_axis_is_nan_where_the_lens_model_folds_back():
    # d/dr (r - 0.3 r^3) = 0 at r = 1.054: beyond it the model bends rays back into the image.
    D = [-0.3, 0.0, 0.0, 0.0]
    pixels = project([[1.05, 0.0, 1.0], [1.06, 0.0, 1.0], [1.7, 0.0, 1.0]], intrinsics(), D)
    assert_array_equal(np.isnan(pixels[:, 0]), [False, True, True])


def test_unproject_by_hand():
    K = intrinsics(f=100.0, cx=32.0, cy=24.0)
    assert_allclose(unproject([[52.0, 64.0]], 5.0, K), [[1.0, 2.0, 5.0]])


def test_unproject_takes_a_depth_per_point():
    points = unproject([[32.0, 24.0], [132.0, 24.0]], [3.0, 7.0], intrinsics())
    assert_allclose(points, [[0.0, 0.0, 3.0], [7.0, 0.0, 7.0]])


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(-0.6, 0.6), st.floats(-0.5, 0.5), st.floats(0.5, 80.0)), max_size=20
    ),
    st.sampled_from([[], PLUMB_BOB[:4], PLUMB_BOB, RATIONAL]),
)
def test_unproject_undoes_project(points, D):
    rays = np.array(points).reshape(-1, 3)
    points_cam = np.column_stack([rays[:, :2] * rays[:, 2:], rays[:, 2]])
    K = intrinsics(f=500.0, cx=320.0, cy=256.0)
    back = unproject(project(points_cam, K, D), points_cam[:, 2], K, D)
    assert_allclose(back, points_cam, atol=1e-5)


@pytest.mark.parametrize('D', [PLUMB_BOB, RATIONAL])
def test_undistort_points_agree_with_opencv(D):
    K = intrinsics(f=500.0, cx=320.0, cy=256.0)
    pixels = np.random.default_rng(1).uniform([120, 90], [520, 420], (100, 2))
    expected = cv2.undistortPoints(pixels[:, None], K, np.array(D), P=K)[:, 0]
    # OpenCV stops after five steps, which is exact to this only near the axis.
    assert_allclose(undistort_points(pixels, K, D), expected, atol=0.01)


def test_undistort_point_no_ray_reaches_is_nan():
    # The largest distorted radius of r - 0.3 r^3 is 0.703.
    pixels = undistort_points(
        [[32.0 + 69.0, 24.0], [32.0 + 72.0, 24.0]], intrinsics(), [-0.3, 0, 0, 0]
    )
    assert_array_equal(np.isnan(pixels[:, 0]), [False, True])


def test_undistort_point_without_distortion_stays():
    assert_allclose(undistort_points([[3.5, 4.5]], intrinsics(), []), [[3.5, 4.5]])


def test_scale_K_to_half_size_keeps_the_centre_of_the_image():
    # The centre of a 64x48 image is (31.5, 23.5), of a 32x24 image (15.5, 11.5).
    K = scale_K(intrinsics(f=100.0, cx=31.5, cy=23.5), (48, 64), (24, 32))
    assert_allclose(K, intrinsics(f=50.0, cx=15.5, cy=11.5))


def test_resized_camera_sees_points_where_the_resized_image_shows_them():
    camera = Camera(intrinsics(), np.array(PLUMB_BOB), (48, 64))
    resized = camera.resized((96, 192))
    points = [[0.2, -0.1, 1.0], [0.0, 0.05, 1.0]]
    expected = (camera.project(points) + 0.5) * [3.0, 2.0] - 0.5
    assert_allclose(resized.project(points), expected)
    assert resized.size == (96, 192)


def test_camera_sees_up_to_the_outer_edge_of_its_pixels():
    camera = Camera(intrinsics(), np.empty(0), (48, 64))
    pixels = [[-0.5, -0.5], [63.49, 47.49], [63.5, 20.0], [-0.51, 3.0], [np.nan, 1.0]]
    assert_array_equal(camera.sees(pixels), [True, True, False, False, False])


def test_camera_of_camera_info_has_its_numbers():
    msg = SimpleNamespace(
        height=48,
        width=64,
        distortion_model='plumb_bob',
        d=PLUMB_BOB,
        k=intrinsics().reshape(-1).tolist(),
    )
    camera = Camera.from_camera_info(msg)
    assert_allclose(camera.K, intrinsics())
    assert_allclose(camera.D, [*PLUMB_BOB, 0.0, 0.0, 0.0])
    assert camera.size == (48, 64)
    assert_allclose(camera.unproject(camera.project([[0.1, 0.2, 2.0]]), 2.0), [[0.1, 0.2, 2.0]])
    assert_allclose(
        camera.undistort_points(camera.project([[0.1, 0.2, 2.0]])), [[37.0, 34.0]], atol=1e-6
    )


@pytest.mark.parametrize(
    ('fields', 'text'),
    [
        pytest.param({'distortion_model': 'equidistant'}, "'equidistant', expected", id='fisheye'),
        pytest.param({'k': [0.0] * 9}, 'expected a calibrated camera', id='uncalibrated'),
        pytest.param({'k': [1.0] * 9}, 'K: found .* expected', id='nonsense'),
        pytest.param({'d': [0.1, 0.2]}, r'D: found \[0.1, 0.2\]', id='two numbers'),
        pytest.param({'height': 0}, r'found size \(0, 64\)', id='no rows'),
    ],
)
def test_camera_of_unusable_camera_info_is_refused(fields, text):
    values = {
        'height': 48,
        'width': 64,
        'distortion_model': 'plumb_bob',
        'd': [],
        'k': intrinsics().reshape(-1),
    }
    with pytest.raises(GeometryError, match=text):
        Camera.from_camera_info(SimpleNamespace(**(values | fields)))


@pytest.mark.parametrize(
    ('make', 'text'),
    [
        pytest.param(lambda: project([[1.0, 2.0]], np.eye(3)), r'expected \(N, 3\)', id='points'),
        pytest.param(lambda: project([], np.eye(4)), r'found shape \(4, 4\)', id='K shape'),
        pytest.param(lambda: project([], np.full((3, 3), np.nan)), 'finite', id='K NaN'),
        pytest.param(lambda: project([], np.eye(3), [np.inf] * 5), 'D: found', id='D infinite'),
        pytest.param(lambda: project([], np.eye(3), np.ones(14)), 'D: found', id='tilted sensor'),
        pytest.param(
            lambda: unproject([[0, 0]], [1.0, 2.0], np.eye(3)), r'expected \(\) or \(1,\)', id='z'
        ),
        pytest.param(lambda: scale_K(np.eye(3), (0, 3), (1, 1)), 'at least 1', id='size'),
    ],
)
def test_malformed_input_is_refused(make, text):
    with pytest.raises(GeometryError, match=text):
        make()


def test_no_points_give_no_pixels():
    assert project([], intrinsics(), PLUMB_BOB).shape == (0, 2)
    assert unproject(np.empty((0, 2)), 1.0, intrinsics(), PLUMB_BOB).shape == (0, 3)
