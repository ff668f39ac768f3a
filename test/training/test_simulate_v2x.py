"""Simulated crossings in the layout of DAIR-V2X-C."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from thermal_perception.errors import DatasetError
from thermal_perception.evaluation.dair import read_frames
from training.simulate_v2x import simulate, V2xOptions


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp('v2x')
    for split, scenes in (('train', 2), ('val', 1)):
        simulate(
            V2xOptions(
                path, split, scenes=scenes, frames_per_scene=2, delays=1, seed=3, size=(135, 240)
            )
        )
    return path


def test_splits_and_recordings(folder):
    assert len(read_frames(folder)) == 6
    train = read_frames(folder, 'train')
    assert [f.unit for f in train] == ['0', '0', '1', '1']
    assert {f.unit for f in read_frames(folder, 'val')} == {'2'}
    assert cv2.imread(str(train[0].ego_image)).shape == (135, 240, 3)


def test_earlier_roadside_images_are_a_tenth_of_a_second_apart(folder):
    now, before = read_frames(folder, 'train'), read_frames(folder, 'train', delay=1)
    assert len(before) == 4
    for a, b in zip(now, before):
        assert a.infra_stamp_ns - b.infra_stamp_ns == pytest.approx(1e8, abs=2e3)
        assert abs(a.infra_stamp_ns - a.ego_stamp_ns) < 2e3
        np.testing.assert_allclose(a.T_camera_world, b.T_camera_world, atol=1e-9)


def test_every_box_is_seen_by_one_of_the_cameras(folder):
    frames = read_frames(folder)
    assert sum(len(f.truth) for f in frames) > 10
    for frame in frames:
        seen = np.zeros(len(frame.truth), bool)
        for side, T in (('ego', frame.T_camera_lidar), ('infra', frame.T_camera_lidar_infra)):
            camera = frame.camera(side, (135, 240))
            points = frame.truth.centres_m @ T[:3, :3].T + T[:3, 3]
            pixels = camera.project(points)
            # A box may stick out of the picture with its centre beyond it.
            near = (pixels > (-120, -68)) & (pixels < (360, 203))
            seen |= near.all(1) & (points[:, 2] > 0)
        assert seen.all()


def test_boxes_stand_on_the_ground(folder):
    for frame in read_frames(folder):
        bottoms = frame.truth.centres_m[:, 2] - frame.truth.sizes_m[:, 2] / 2
        np.testing.assert_allclose(bottoms, -1.78, atol=0.35)


def test_names_of_splits_that_begin_alike_mean_other_worlds(tmp_path):
    for split in ('train', 'train_night'):
        simulate(V2xOptions(tmp_path, split, 'day', 1, 1, delays=0, seed=3, size=(27, 48)))
    first, second = (read_frames(tmp_path, split)[0] for split in ('train', 'train_night'))
    assert not np.array_equal(first.T_world_lidar, second.T_world_lidar)


def test_a_split_is_made_once(folder):
    with pytest.raises(DatasetError, match="found split 'val' already"):
        simulate(V2xOptions(folder, 'val'))
