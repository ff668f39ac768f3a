from __future__ import annotations

import cv2
import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
import pytest

from thermal_perception.errors import GeometryError
from thermal_perception.geometry import (
    Camera,
    CameraPair,
    from_xyz_quat,
    invert,
    parallax_residual_px,
    RgbToThermal,
    transform_points,
)
from thermal_perception.simulation import default_rig

# 0.1 m apart: the RGB camera sits to the right, so its origin is at x = 0.1 m of the thermal one.
T_THERMAL_RGB = from_xyz_quat([0.1, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0])


def camera(f: float, size: tuple[int, int], D=()) -> Camera:
    height, width = size
    K = [[f, 0.0, (width - 1) / 2], [0.0, f, (height - 1) / 2], [0.0, 0.0, 1.0]]
    return Camera(np.array(K), np.array(D, np.float64), size)


def ramp(size: tuple[int, int]) -> np.ndarray:
    """Blue is the column, green the row, red 200."""
    v, u = np.indices(size)
    return np.dstack([u, v, np.full(size, 200)]).astype(np.uint8)


def test_homography_shifts_the_image_as_worked_out_by_hand():
    H = [[1.0, 0.0, 7.0], [0.0, 1.0, -3.0], [0.0, 0.0, 1.0]]  # u + 7, v - 3
    out = RgbToThermal(homography=H)(ramp((60, 80)), (40, 50))
    assert out.shape == (40, 50, 3)
    assert_array_equal(out[10, 20], [27, 7, 200])
    assert_array_equal(out[2, 20], [0, 0, 0])  # row -1: the RGB camera sees nothing there
    assert_array_equal(out[3, 20], [27, 0, 200])


def test_homography_interpolates_between_pixels():
    H = [[1.0, 0.0, 0.5], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    image = np.zeros((4, 4, 3), np.uint8)
    image[:, 2:] = 100
    assert_array_equal(RgbToThermal(homography=H)(image, (4, 4))[1, :3, 0], [0, 50, 100])


def test_what_the_rgb_camera_sees_to_its_edge_is_not_darkened():
    H = [[1.0, 0.0, -0.4], [0.0, 1.0, 0.4], [0.0, 0.0, 1.0]]  # half a pixel over two edges
    out = RgbToThermal(homography=H)(np.full((40, 50, 3), 200, np.uint8), (41, 51))
    assert_array_equal(out[:40, :51 - 1], np.full((40, 50, 3), 200))
    assert_array_equal(out[40], np.zeros((51, 3)))


def test_homography_is_the_same_in_any_scale():
    H = np.array([[1.1, 0.02, 3.0], [0.01, 0.9, -2.0], [1e-4, 2e-4, 1.0]])
    image = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    assert_array_equal(
        RgbToThermal(homography=H)(image, (40, 50)),
        RgbToThermal(homography=-3.0 * H)(image, (40, 50)),
    )


def test_displaced_camera_moves_the_image_by_focal_length_times_baseline_over_depth():
    # 100 px * 0.1 m / 5 m = 2 px: what thermal sees at column 30, RGB sees at column 28
    cameras = CameraPair(camera(100.0, (40, 60)), camera(100.0, (40, 60)))
    out = RgbToThermal(T_thermal_rgb=T_THERMAL_RGB, depth_m=5.0)(ramp((40, 60)), (40, 60), cameras)
    assert_array_equal(out[20, 30], [28, 20, 200])
    assert_array_equal(out[20, 1], [0, 0, 0])


def test_rgb_image_of_twice_the_resolution_is_averaged():
    # The centres of thermal pixels fall on RGB pixels here: bilinear alone would take one of each
    # four, and leave the noise as it is. The mean of four has half of it.
    cameras = CameraPair(camera(100.0, (40, 60)), camera(200.0, (81, 121)))
    noise = np.random.default_rng(0).integers(0, 256, (81, 121, 3), np.uint8)
    out = RgbToThermal(T_thermal_rgb=np.eye(4))(noise, (40, 60), cameras)
    assert out[2:-2, 2:-2].std() < 0.6 * noise.std()


def test_rgb_image_that_is_shrunk_first_stays_in_place():
    cameras = CameraPair(camera(50.0, (40, 60)), camera(150.0, (120, 181)))
    out = RgbToThermal(T_thermal_rgb=np.eye(4))(ramp((120, 181)), (40, 60), cameras)
    # column 30 is 0.5 px right of the axis (29.5): 90 + 3 * 0.5 = 91.5; row 20: 59.5 + 1.5 = 61
    assert_allclose(out[20, 30].astype(int), [91.5, 61, 200], atol=1.0)


def test_distortion_of_both_lenses_is_undone():
    thermal, rgb = camera(60.0, (40, 60), [-0.2, 0.05, 0, 0]), camera(70.0, (50, 70), [0.1] * 4)
    out = RgbToThermal(T_thermal_rgb=T_THERMAL_RGB, depth_m=8.0)(
        ramp((50, 70)), (40, 60), CameraPair(thermal, rgb)
    )
    for u, v in ((30, 20), (5, 8), (50, 30)):
        point = thermal.unproject([[u, v]], 8.0)
        (expected,) = rgb.project((invert(T_THERMAL_RGB)[:3, :3] @ point.T).T - [0.1, 0.0, 0.0])
        assert_allclose(out[v, u, :2].astype(float), expected, atol=0.6)


def spot_seen(register, cameras: CameraPair, points: np.ndarray) -> np.ndarray:
    """Where a spot of the RGB image, at `points` metres of the RGB camera, lies in thermal."""
    (centre,) = cameras.rgb.project(points)
    v, u = np.indices(cameras.rgb.size)
    spot = 255 * np.exp(-((u - centre[0]) ** 2 + (v - centre[1]) ** 2) / (2 * 4.0**2))
    image = np.repeat(spot[..., None], 3, axis=2).astype(np.uint8)
    moments = cv2.moments(register(image, cameras.thermal.size, cameras)[..., 0])
    return np.array([moments['m10'], moments['m01']]) / moments['m00']


@pytest.mark.parametrize('depth_m', [6.0, 20.0, 80.0])
def test_simulated_rig_is_registered_at_its_depth_and_off_by_the_parallax_elsewhere(depth_m):
    rig = default_rig('road')
    cameras = CameraPair(
        *(Camera(spec.K, np.empty(0), spec.size) for spec in (rig.thermal, rig.rgb))
    )
    register = RgbToThermal(T_thermal_rgb=invert(rig.T_rgb_thermal), depth_m=depth_m)
    for z in (6.0, 20.0, 80.0):
        point = np.array([[0.05 * z, 0.1 * z, z]])
        (expected,) = cameras.thermal.project(point)
        found = spot_seen(register, cameras, transform_points(rig.T_rgb_thermal, point))
        # The cameras are sqrt(0.12^2 + 0.03^2) = 0.124 m apart; f of the thermal one is 640 px.
        residual = parallax_residual_px(640.0, 0.1237, depth_m, z)
        assert_allclose(np.hypot(*(found - expected)), residual, atol=0.15 + 0.02 * residual)


def test_image_of_the_same_size_is_taken_as_registered_without_a_copy():
    image = ramp((40, 60))
    assert RgbToThermal()(image, (40, 60)) is image


def test_other_size_without_knowledge_of_the_rig_is_refused():
    with pytest.raises(GeometryError, match='rgb images of 80x60 beside thermal ones of 60x40'):
        RgbToThermal()(ramp((60, 80)), (40, 60))


def test_maps_are_built_once_and_again_when_a_size_or_camera_changes():
    register = RgbToThermal(T_thermal_rgb=np.eye(4))
    image, small = ramp((40, 60)), camera(100.0, (40, 60))
    for _ in range(3):
        register(image, (40, 60), CameraPair(small, camera(100.0, (40, 60))))
    assert register.builds == 1
    for _ in range(2):
        register(image, (40, 60), CameraPair(small, camera(101.0, (40, 60))))
    assert register.builds == 2
    for _ in range(2):
        register(ramp((50, 70)), (40, 60), CameraPair(small, camera(100.0, (50, 70))))
    assert register.builds == 3


def test_maps_of_a_homography_follow_the_sizes():
    register = RgbToThermal(homography=np.eye(3))
    for size in ((40, 60), (40, 60), (50, 70)):
        assert_array_equal(register(ramp(size), size), ramp(size))
    assert register.builds == 2


@pytest.mark.parametrize(
    ('cameras', 'text'),
    [
        pytest.param(None, 'no cameras, expected camera_info of both', id='none'),
        pytest.param(
            CameraPair(camera(9.0, (40, 60)), camera(9.0, (20, 30))),
            'camera_info of 30x20 for rgb images of 60x40', id='rgb of another size',
        ),
        pytest.param(
            CameraPair(camera(9.0, (20, 30)), camera(9.0, (40, 60))),
            'camera_info of 30x20 for thermal images of 60x40', id='thermal of another size',
        ),
    ],
)
def test_cameras_that_do_not_fit_the_images_are_refused(cameras, text):
    with pytest.raises(GeometryError, match=text):
        RgbToThermal(T_thermal_rgb=np.eye(4))(ramp((40, 60)), (40, 60), cameras)


@pytest.mark.parametrize(
    ('options', 'text'),
    [
        ({'homography': np.zeros((3, 3))}, 'invertible'),
        ({'homography': np.eye(2)}, 'invertible'),
        ({'homography': [[1, 0, 0], [0, 0, 1], [0, 1, 0]]}, 'found 0 in the last row'),
        ({'T_thermal_rgb': 2 * np.eye(4)}, 'T_thermal_rgb'),
        ({'homography': np.eye(3), 'T_thermal_rgb': np.eye(4)}, 'transform and homography'),
        ({'depth_m': 0.0}, 'registration depth: found 0.0 m'),
    ],
)
def test_malformed_rig_is_refused(options, text):
    with pytest.raises(GeometryError, match=text):
        RgbToThermal(**options)
