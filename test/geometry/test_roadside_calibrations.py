"""Our cameras and transforms against what calibration files of TUMTraf say twice."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from thermal_perception.errors import GeometryError
from thermal_perception.geometry import (
    as_intrinsics,
    Camera,
    compose,
    from_rotation,
    invert,
    project,
    transform_points,
)

SIZE = (1200, 1920)
SOUTH_CAMERAS = ('s110_camera_basler_south1_8mm', 's110_camera_basler_south2_8mm')
BOTH_LIDARS = ('s110_lidar_ouster_north', 's110_lidar_ouster_south')


@pytest.fixture(scope='module')
def files(real_data):
    """{name: contents} of all files."""
    folder = real_data / 'tumtraf_calib' / 'calib'
    found = {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob('*.json'))}
    assert len(found) == 13
    return found


def transforms(contents):
    """{(source, target): T_target_source} of a file; some matrices have a bracket too many."""
    found = {}
    for key, values in contents.items():
        if key.startswith('transformation_'):
            name = key.removeprefix('transformation_').removeprefix('matrix_')
            source, target = name.split('_to_')
            found[source, target] = np.reshape(values, (4, 4))
    return found


def camera_of(P):
    """Where the camera of a projection matrix stands and which way it looks."""
    P = np.array(P)
    return -np.linalg.solve(P[:, :3], P[:, 3]), P[2, :3] / np.linalg.norm(P[2, :3])


def through(P, points):
    homogeneous = np.c_[points, np.ones(len(points))] @ np.transpose(P)
    return homogeneous[:, :2] / homogeneous[:, 2:]


def points_ahead(T_camera_source):
    """Points of the source frame that a camera has 5 to 60 m ahead of it."""
    rng = np.random.default_rng(0)
    ahead = rng.uniform((-3, -2, 5), (3, 2, 60), (50, 3))
    return transform_points(invert(T_camera_source), ahead)


def test_the_way_back_is_the_one_in_the_file(files):
    checked = 0
    for contents in files.values():
        found = transforms(contents)
        for (source, target), T_target_source in found.items():
            if (target, source) in found:
                T_source_target = found[target, source]
                np.testing.assert_allclose(invert(T_target_source), T_source_target, atol=1e-5)
                there_and_back = compose(T_source_target, T_target_source)
                np.testing.assert_allclose(there_and_back, np.eye(4), atol=1e-5)
                checked += 1
    assert checked == 72


@pytest.mark.parametrize('name', SOUTH_CAMERAS)
def test_pose_and_intrinsics_make_the_projection_in_the_file(files, name):
    contents = files[name]
    T_camera_base = from_rotation(contents['rotation_matrix'], contents['translation_matrix'])
    K = np.array(contents['calibrated_intrinsic_camera_matrix'])[:, :3]
    points = points_ahead(T_camera_base)
    ours = Camera(K, np.empty(0), SIZE).project(transform_points(T_camera_base, points))
    np.testing.assert_allclose(ours, through(contents['projection_matrix'], points), atol=1e-6)


def test_the_lidar_of_the_vehicle_is_projected_as_its_file_says(files):
    contents = files['vehicle_lidar_robosense']
    T_camera_lidar = transforms(contents)['vehicle_lidar_robosense', 'vehicle_camera_basler_16mm']
    K = files['vehicle_camera_basler_16mm']['optimal_intrinsic_camera_matrix']
    P = contents['projection_matrix_into_vehicle_camera_basler_16mm']
    points = points_ahead(T_camera_lidar)
    ours = project(transform_points(T_camera_lidar, points), K)
    np.testing.assert_allclose(ours, through(P, points), atol=1e-3)  # the file holds nine digits


@pytest.mark.parametrize('camera', SOUTH_CAMERAS)
def test_both_lidars_put_a_camera_at_the_same_place_of_the_base(files, camera):
    """The lidars are 14 m apart and turned by 16 degrees; each was calibrated by itself."""
    places, directions = [], []
    for lidar in BOTH_LIDARS:
        T_base_lidar = transforms(files[lidar])[lidar, 's110_base']
        place, direction = camera_of(files[camera][f'projection_from_{lidar}'])
        places += [transform_points(T_base_lidar, [place])[0]]
        directions += [transform_points(from_rotation(T_base_lidar[:3, :3]), [direction])[0]]
    assert np.linalg.norm(places[0] - places[1]) < 1.5
    assert directions[0] @ directions[1] > np.cos(np.radians(3))
    assert all(5 < place[2] < 10 for place in places)  # on a gantry
    # The camera's own calibration, made another way, agrees less well.
    own, _ = camera_of(files[camera]['projection_matrix'])
    assert all(np.linalg.norm(place - own) < 5 for place in places)


def test_cameras_stand_above_the_road_and_look_down_on_it(files):
    heights = []
    for contents in files.values():
        for (source, target), T_road_camera in transforms(contents).items():
            if source.endswith('driving_direction') and target == 'common_road':
                T_camera_road = transforms(contents)[target, source]
                heights.append(invert(T_camera_road)[2, 3])
                (ahead,) = transform_points(T_road_camera, [(0, 0, 1)]) - T_road_camera[:3, 3]
                (down,) = transform_points(T_road_camera, [(0, 1, 0)]) - T_road_camera[:3, 3]
                assert -0.3 < ahead[2] < 0
                assert down[2] < -0.9
    assert len(heights) == 8
    assert 7 < min(heights) < max(heights) < 9


def test_the_ground_that_a_pixel_shows_is_seen_at_that_pixel(files):
    contents = files['s110_camera_basler_south1_8mm']
    T_camera_base = from_rotation(contents['rotation_matrix'], contents['translation_matrix'])
    D = contents['dist_coefficients']
    camera = Camera(np.array(contents['intrinsic_camera_matrix']), np.array(D), SIZE)
    pixels = np.array([(960.0, 700.0), (100.0, 900.0), (1800.0, 1100.0)])
    ahead = camera.unproject(pixels, 1.0)
    centre, *ends = transform_points(invert(T_camera_base), [(0, 0, 0), *ahead])
    rays = np.array(ends) - centre
    ground = centre - rays * (centre[2] / rays[:, 2])[:, None]
    assert np.all(np.linalg.norm(ground - centre, axis=1) < 30)
    np.testing.assert_allclose(
        camera.project(transform_points(T_camera_base, ground)), pixels, atol=1e-6
    )


def test_real_lenses_bend_as_opencv_bends_them_and_are_straightened_again(files):
    u, v = np.meshgrid(np.linspace(0, SIZE[1] - 1, 25), np.linspace(0, SIZE[0] - 1, 17))
    pixels = np.column_stack((u.ravel(), v.ravel()))
    lenses = [contents for contents in files.values() if 'dist_coefficients' in contents]
    assert len(lenses) == 10
    for contents in lenses:
        K = np.array(contents['intrinsic_camera_matrix'])[:, :3]
        D = np.array(contents['dist_coefficients'])
        camera = Camera(K, D, SIZE)
        points = camera.unproject(pixels, 20.0)
        expected = cv2.projectPoints(points, np.zeros(3), np.zeros(3), K, D)[0][:, 0]
        np.testing.assert_allclose(expected, pixels, atol=1e-6)
        np.testing.assert_allclose(camera.project(points), pixels, atol=1e-6)
        straight = Camera(K, np.empty(0), SIZE).project(points)
        assert np.abs(straight - pixels).max() > 10


def test_matrices_that_are_no_intrinsics_are_refused(files):
    """Those that were fitted freely have a last row other than 0 0 1."""
    for name in ('s040_camera_basler_north_16mm', 's050_camera_basler_south_16mm'):
        K = files[name]['calibrated_intrinsic_camera_matrix_south_driving_direction']
        with pytest.raises(GeometryError, match='expected'):
            as_intrinsics(np.array(K)[:, :3])


def test_a_pose_that_nobody_filled_in_is_refused(files):
    contents = files['vehicle_camera_basler_16mm']
    with pytest.raises(GeometryError, match='expected a rotation and a translation'):
        from_rotation(contents['rotation_matrix'], contents['translation_matrix'])
