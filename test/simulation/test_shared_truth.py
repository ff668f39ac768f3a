"""What two cameras see together is what each of them sees, each object once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from thermal_perception.simulation import default_rig, ground_truth, Scene
from thermal_perception.simulation.actors import CAR, OTHER_VEHICLE
from thermal_perception.simulation.intersection import pole_camera
from thermal_perception.simulation.shared_truth import vehicles_seen

SIZE = (135, 240)


@pytest.fixture(scope='module')
def seen():
    scene = Scene('intersection', 'day', 5)
    cameras = default_rig('intersection', rgb_size=SIZE).rgb, pole_camera(5, size=SIZE)
    return scene, cameras, vehicles_seen(scene, 2.0, cameras)


def test_each_vehicle_once_and_with_its_better_view(seen):
    scene, cameras, boxes = seen
    assert len(boxes) > 3
    assert len(set(boxes.track_ids)) == len(boxes)
    assert set(boxes.labels) <= {CAR, OTHER_VEHICLE}
    shares = {}
    for camera in cameras:
        truth = ground_truth(scene, 2.0, camera)
        heights = truth.detections.boxes_xyxy_px[:, 3] - truth.detections.boxes_xyxy_px[:, 1]
        for track, label, share, height in zip(
            truth.track_ids, truth.boxes_3d.labels, truth.visibility, heights
        ):
            if label in (CAR, OTHER_VEHICLE) and share >= 0.15 and height >= 8:
                shares[track] = max(share, shares.get(track, 0))
    assert shares == dict(zip(boxes.track_ids, boxes.scores))


def test_boxes_are_those_of_the_base_frame_whoever_sees_them(seen):
    scene, cameras, boxes = seen
    alone = [vehicles_seen(scene, 2.0, [camera]) for camera in cameras]
    assert {*alone[0].track_ids, *alone[1].track_ids} == set(boxes.track_ids)
    rows = {t: np.r_[c, y] for t, c, y in zip(boxes.track_ids, boxes.centres_m, boxes.yaws_rad)}
    for part in alone:
        for track, centre, yaw in zip(part.track_ids, part.centres_m, part.yaws_rad):
            np.testing.assert_array_equal(np.r_[centre, yaw], rows[track])


def test_a_camera_that_looks_away_sees_nothing(seen):
    scene, (ego, _), _ = seen
    up = np.array([[0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 50], [0, 0, 0, 1]], np.float64)
    boxes = vehicles_seen(scene, 2.0, [replace(ego, T_world_camera=up)])
    assert len(boxes) == 0
    assert boxes.centres_m.shape == (0, 3)
