"""Poses between poses."""

from __future__ import annotations

import math

import numpy as np
import pytest

from thermal_perception.geometry.transforms import from_xyz_rpy
from thermal_perception.v2x.ego_track import EgoTrack

S = 1_000_000_000


def pose(x, yaw_deg=0.0):
    return from_xyz_rpy((x, 0.0, 0.0), (0.0, 0.0, math.radians(yaw_deg)))


def track(*poses, **options):
    made = EgoTrack(**options)
    for stamp_s, T in poses:
        made.add(int(stamp_s * S), T)
    return made


def test_half_way_between_two():
    T = track((1.0, pose(10.0)), (1.2, pose(14.0, 60.0))).at(int(1.1 * S))
    np.testing.assert_allclose(T, pose(12.0, 30.0), atol=1e-9)


def test_at_a_pose():
    poses = track((1.0, pose(10.0)), (1.2, pose(14.0)))
    np.testing.assert_allclose(poses.at(S), pose(10.0))


def test_the_short_way_round():
    T = track((1.0, pose(0.0, 170.0)), (1.2, pose(0.0, -170.0))).at(int(1.1 * S))
    np.testing.assert_allclose(T, pose(0.0, 180.0), atol=1e-9)


def test_motion_goes_on_for_a_moment():
    poses = track((1.0, pose(0.0)), (1.1, pose(1.0, 10.0)), max_ahead_s=0.1)
    np.testing.assert_allclose(poses.at(int(1.15 * S)), pose(1.5, 15.0), atol=1e-9)
    assert poses.at(int(1.25 * S)) is None


@pytest.mark.parametrize('stamp_s', [0.9, 1.5, 3.0])
def test_what_is_not_known(stamp_s):
    # Before the first, in a gap of a second, after the last.
    poses = track((1.0, pose(0.0)), (2.0, pose(1.0)), max_gap_s=0.5)
    assert poses.at(int(stamp_s * S)) is None


def test_one_pose_alone_tells_only_of_itself():
    poses = track((1.0, pose(3.0)))
    np.testing.assert_allclose(poses.at(S), pose(3.0))
    assert poses.at(S + 1) is None


def test_order_and_repetition_do_not_matter():
    poses = track((1.2, pose(2.0)), (1.0, pose(0.0)), (1.1, pose(1.0)), (1.2, pose(9.0)))
    assert len(poses) == 3
    np.testing.assert_allclose(poses.at(int(1.15 * S)), pose(1.5), atol=1e-9)


def test_memory_is_bounded():
    poses = track(*((1 + 0.01 * n, pose(0.01 * n)) for n in range(5000)), keep_s=2.0)
    assert 200 <= len(poses) <= 202


def test_time_that_is_set_back_starts_anew():
    poses = track((100.0, pose(1.0)), (100.1, pose(2.0)), (5.0, pose(3.0)), keep_s=10.0)
    assert len(poses) == 1
    np.testing.assert_allclose(poses.at(5 * S), pose(3.0))


def test_a_short_bag_in_a_loop_neither_grows_nor_mixes_its_turns():
    poses = track(keep_s=10.0)
    for turn in range(20):
        for n in range(250):
            poses.add(int((1 + n / 50) * S), pose(100.0 * turn + n))
    assert len(poses) <= 251
    np.testing.assert_allclose(poses.at(3 * S), pose(1900.0 + 100))
