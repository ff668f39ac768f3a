"""Two streets that cross, and a camera on a pole."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_array_equal
import pytest

from thermal_perception.evaluation.boxes_3d import overlaps_bev
from thermal_perception.simulation import default_rig, ground_truth, render, Scene
from thermal_perception.simulation.actors import CAR, OTHER_VEHICLE
from thermal_perception.simulation.intersection import pole_camera
from thermal_perception.types import Boxes3D

SEEDS = range(6)


@pytest.fixture(scope='module')
def scenes():
    return [Scene('intersection', 'day', seed) for seed in SEEDS]


def vehicles(scene, time_s, within_m=60.0):
    """Return the boxes of all vehicles near the crossing, in the world frame."""
    poses = scene.poses(time_s)
    keep = np.isin(scene.bank.labels, (CAR, OTHER_VEHICLE))
    keep &= np.abs(poses.xyz[:, :2]).max(1) < within_m
    n = int(keep.sum())
    return Boxes3D(
        poses.xyz[keep], (scene.bank.high - scene.bank.low)[keep], poses.yaw[keep],
        np.ones(n, np.float32), np.zeros(n, np.int64), ('car',), np.full(n, -1), 0, 'world',
    )  # fmt: skip


def test_same_seed_same_world(scenes):
    again = Scene('intersection', 'day', 0)
    assert_array_equal(again.poses(3.3).xyz, scenes[0].poses(3.3).xyz)
    assert_array_equal(again.world.ground.kelvin, scenes[0].world.ground.kelvin)


def test_either_street_has_green_in_some_worlds(scenes):
    moving = [scene.odometry(0.0).linear_mps[0] > 0 for scene in scenes]
    assert any(moving)
    assert not all(moving)


def test_nobody_drives_through_anybody(scenes):
    for scene in scenes:
        for time_s in np.arange(0.0, 8.0, 0.5):
            boxes = vehicles(scene, time_s)
            shared = overlaps_bev(boxes, boxes)
            np.fill_diagonal(shared, 0.0)
            assert shared.max(initial=0.0) < 0.02, (scene.seed, time_s)


def test_nobody_drives_through_the_base(scenes):
    for scene in scenes:
        for time_s in np.arange(0.0, 8.0, 0.5):
            T = scene.pose(time_s)
            ego = Boxes3D(
                T[None, :3, 3], np.array([[4.4, 1.8, 1.5]]), np.zeros(1), np.ones(1, np.float32),
                np.zeros(1, np.int64), ('car',), np.full(1, -1), 0, 'world',
            )  # fmt: skip
            assert overlaps_bev(ego, vehicles(scene, time_s)).max(initial=0.0) == 0.0


def test_a_camera_on_a_pole_stays_where_it_is(scenes):
    scene = next(s for s in scenes if s.odometry(0.0).linear_mps[0] > 0)
    camera = pole_camera(scene.seed, size=(270, 480))
    first, second = (ground_truth(scene, t, camera) for t in (1.0, 3.0))
    still = set(first.track_ids) & set(second.track_ids)
    still = [i for i in still if scene.world.actors[i].motion.still]
    assert still
    T_first, T_second = scene.pose(1.0), scene.pose(3.0)
    for i in still:
        # What stands still is at the same place of the picture, and nearer to the base.
        centres = [t.boxes_3d.centres_m[list(t.track_ids).index(i)] for t in (first, second)]
        worlds = [T[:3, :3] @ c + T[:3, 3] for T, c in zip((T_first, T_second), centres)]
        np.testing.assert_allclose(*worlds, atol=1e-9)


def test_truth_is_where_the_pole_camera_sees_it(scenes):
    camera = pole_camera(0, size=(270, 480))
    scene, time_s = scenes[0], 2.0
    truth = ground_truth(scene, time_s, camera)
    T_camera_base = np.linalg.inv(camera.T_world_camera) @ scene.pose(time_s)
    assert len(truth.boxes_3d) > 3
    for box, centre, seen in zip(
        truth.detections.boxes_xyxy_px, truth.boxes_3d.centres_m, truth.visibility
    ):
        if seen > 0.95:
            x, y, z = T_camera_base[:3, :3] @ centre + T_camera_base[:3, 3]
            u = camera.K[0, 0] * x / z + camera.K[0, 2]
            v = camera.K[1, 1] * y / z + camera.K[1, 2]
            assert z > 0
            assert box[0] - 1 <= u <= box[2] + 1
            assert box[1] - 1 <= v <= box[3] + 1


def test_pole_cameras_see_what_the_vehicle_does_not(scenes):
    more = 0
    for scene in scenes:
        ego = set(ground_truth(scene, 1.0, default_rig('intersection').rgb).track_ids.tolist())
        pole = set(ground_truth(scene, 1.0, pole_camera(scene.seed)).track_ids.tolist())
        more += len(pole - ego) >= 2
    assert more >= 4


def test_pictures_of_both(scenes):
    frame = render(scenes[1], 1.0, pole_camera(1, size=(108, 192)))
    assert frame.image.shape == (108, 192, 3)
    assert frame.image.std() > 10


def test_no_pole_stands_in_a_house():
    for seed in range(300):
        x, y = np.abs(pole_camera(seed, size=(27, 48)).T_world_camera[:2, 3])
        assert 6.2 < y < 7.9  # between the widest road and the nearest house
        assert x > 7
