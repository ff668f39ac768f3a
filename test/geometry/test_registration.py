from __future__ import annotations

import cv2
import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
import pytest

from thermal_perception.errors import GeometryError
from thermal_perception.geometry.camera import Camera, project, unproject
from thermal_perception.geometry.registration import (
    homography_at_depth,
    parallax_residual_px,
    sampling_map,
)
from thermal_perception.geometry.transforms import from_xyz_quat, from_xyz_rpy, transform_points


def intrinsics(f: float, cx: float, cy: float) -> np.ndarray:
    return np.array([[f, 0.0, cx], [0.0, f, cy], [0.0, 0.0, 1.0]])


K_THERMAL = intrinsics(500.0, 319.5, 255.5)
K_RGB = intrinsics(1000.0, 639.5, 359.5)
# The RGB camera sits 0.1 m to the right of the thermal one, so points move 0.1 m to the left.
T_RGB_THERMAL = from_xyz_quat([-0.1, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0])


def apply(H: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    return cv2.perspectiveTransform(np.asarray(pixels, np.float64)[:, None], H)[:, 0]


def test_homography_of_principal_point_by_hand():
    # 10 m away the point on the thermal axis is 0.1 m left of RGB's: 1000 * 0.1 / 10 = 10 px
    H = homography_at_depth(K_THERMAL, K_RGB, T_RGB_THERMAL, 10.0)
    assert_allclose(apply(H, [[319.5, 255.5]]), [[629.5, 359.5]])


def test_homography_at_infinity_leaves_the_baseline_out():
    H = homography_at_depth(K_THERMAL, K_RGB, T_RGB_THERMAL, np.inf)
    assert_allclose(apply(H, [[319.5, 255.5], [419.5, 255.5]]), [[639.5, 359.5], [839.5, 359.5]])


def test_homography_of_a_camera_with_itself_is_the_identity():
    assert_allclose(homography_at_depth(K_RGB, K_RGB, np.eye(4), 3.0), np.eye(3), atol=1e-12)


def test_homography_maps_points_of_the_plane_as_the_cameras_see_them():
    T_rgb_thermal = from_xyz_rpy([-0.12, 0.03, 0.05], [0.02, -0.05, 0.01])
    pixels = np.random.default_rng(0).uniform([0, 0], [640, 512], (50, 2))
    points = unproject(pixels, 14.0, K_THERMAL)
    expected = project(transform_points(T_rgb_thermal, points), K_RGB)
    H = homography_at_depth(K_THERMAL, K_RGB, T_rgb_thermal, 14.0)
    assert_allclose(apply(H, pixels), expected, atol=1e-8)


def test_parallax_residual_by_hand():
    # 1000 px * 0.1 m * |1/5 - 1/20| = 15 px
    residual = parallax_residual_px(1000.0, 0.1, 20.0, [5.0, 20.0, np.inf])
    assert_allclose(residual, [15.0, 0.0, 5.0])


def test_parallax_residual_is_what_the_homography_is_off_at_other_depths():
    H = homography_at_depth(K_THERMAL, K_RGB, T_RGB_THERMAL, 20.0)
    for depth in (5.0, 12.0, 80.0):
        pixels = np.array([[100.0, 50.0], [319.5, 255.5], [600.0, 500.0]])
        points = transform_points(T_RGB_THERMAL, unproject(pixels, depth, K_THERMAL))
        off = np.linalg.norm(apply(H, pixels) - project(points, K_RGB), axis=1)
        assert_allclose(off, parallax_residual_px(1000.0, 0.1, 20.0, depth), atol=1e-9)


def test_sampling_map_without_distortion_is_the_homography():
    thermal = Camera(K_THERMAL, np.empty(0), (512, 640))
    rgb = Camera(K_RGB, np.empty(0), (720, 1280))
    columns, rows = sampling_map(thermal, rgb, T_RGB_THERMAL, 10.0)
    H = homography_at_depth(K_THERMAL, K_RGB, T_RGB_THERMAL, 10.0)
    assert (columns.dtype, columns.shape) == (np.float32, (512, 640))
    expected = apply(H, [[300.0, 200.0]])[0]
    assert_allclose([columns[200, 300], rows[200, 300]], expected, rtol=1e-6)


def test_sampling_map_is_minus_one_where_rgb_sees_nothing():
    thermal = Camera(K_THERMAL, np.empty(0), (512, 640))
    rgb = Camera(K_RGB, np.empty(0), (720, 1280))
    columns, rows = sampling_map(thermal, rgb, T_RGB_THERMAL, np.inf)
    # 720 rows of RGB are 360 thermal rows: 256 - 180 = 76 to 435.
    seen = np.flatnonzero(rows[:, 320] >= -0.5)
    assert (seen[0], seen[-1]) == (76, 435)
    assert_array_equal(columns[:76], -1.0)


def test_sampling_map_follows_the_distortion_of_both_cameras():
    thermal = Camera(K_THERMAL, np.array([-0.2, 0.05, 0.0, 0.0]), (512, 640))
    rgb = Camera(K_RGB, np.array([0.1, -0.05, 1e-3, 0.0, 0.01]), (720, 1280))
    T_rgb_thermal = from_xyz_rpy([-0.12, 0.03, 0.05], [0.02, -0.05, 0.01])
    columns, rows = sampling_map(thermal, rgb, T_rgb_thermal, 14.0)
    point = thermal.unproject([[400.0, 150.0]], 14.0)
    expected = rgb.project(transform_points(T_rgb_thermal, point))[0]
    assert_allclose([columns[150, 400], rows[150, 400]], expected, atol=1e-3)


@pytest.mark.parametrize(
    ('make', 'text'),
    [
        pytest.param(
            lambda: homography_at_depth(K_THERMAL, K_RGB, np.eye(4), 0.0),
            'registration depth: found 0.0 m, expected above 0',
            id='no depth',
        ),
        pytest.param(
            lambda: homography_at_depth(K_THERMAL, K_RGB, np.eye(3), 5.0),
            r'T_rgb_thermal: found shape \(3, 3\)',
            id='transform',
        ),
        pytest.param(
            lambda: homography_at_depth(
                K_THERMAL, K_RGB, from_xyz_quat([0, 0, -5.0, 0, 0, 0, 1]), 5.0
            ),
            r'passes through the RGB camera, whose position is \[0.0, 0.0, 5.0\] m',
            id='plane through the camera',
        ),
        pytest.param(
            lambda: parallax_residual_px(1000.0, 0.1, 20.0, [1.0, -1.0]),
            'expected above 0',
            id='Z',
        ),
        pytest.param(
            lambda: parallax_residual_px(1000.0, 0.1, float('nan'), 1.0), 'found nan m', id='Z0'
        ),
    ],
)
def test_impossible_registration_is_refused(make, text):
    with pytest.raises(GeometryError, match=text):
        make()
