import numpy as np
from numpy.testing import assert_allclose

from thermal_perception.simulation.motion import Cruise, Hover, OneWay, Standing, Straight, Track


def test_standing_never_moves():
    still = Standing(1.0, 2.0, 0.5)
    assert still.still
    assert still.pose(0.0) == still.pose(1e6)


def test_straight_backwards_faces_backwards():
    pose = Straight(50.0, 2.0, -5.0).pose(4.0)
    assert_allclose((pose.x, pose.y, pose.yaw, pose.walked), (30.0, 2.0, np.pi, 20.0))


def test_track_goes_to_the_end_and_comes_back():
    track = Track([(0.0, 0.0), (10.0, 0.0)], speed=1.0)
    assert_allclose(track.pose(4.0)[:2], (4.0, 0.0))
    back = track.pose(13.0)
    assert_allclose((back.x, back.y, back.walked), (7.0, 0.0, 13.0))
    assert_allclose(np.cos(back.yaw), -1.0)
    assert_allclose(track.pose(24.0)[:2], (4.0, 0.0))


def test_track_turns_a_corner_half_way_at_the_corner():
    track = Track([(0.0, 0.0), (10.0, 0.0), (10.0, 10.0)], speed=1.0)
    assert_allclose(track.pose(5.0).yaw, 0.0)
    assert_allclose(track.pose(10.0).yaw, np.pi / 4)
    assert_allclose(track.pose(15.0).yaw, np.pi / 2)


def test_closed_track_returns_to_its_start():
    corners = [(0.0, 0.0), (4.0, 0.0), (4.0, 4.0), (0.0, 4.0)]
    track = Track(corners, speed=2.0, closed=True)
    assert_allclose(track.pose(8.0)[:2], track.pose(0.0)[:2], atol=1e-9)
    assert_allclose(track.pose(7.0)[:2], (0.0, 2.0))


def test_one_way_begins_again_and_never_turns_back():
    lane = OneWay([(0.0, 0.0), (100.0, 0.0)], speed=10.0, start=0.5)
    assert_allclose(lane.pose(1.0)[:2], (60.0, 0.0))
    assert_allclose(lane.pose(7.0)[:2], (20.0, 0.0))
    assert all(abs(lane.pose(t).yaw) < 1e-9 for t in np.linspace(0, 30, 40))


def test_cruise_at_rest_stands_in_its_lane():
    assert Cruise(0.0, -1.7).pose(100.0) == (0.0, -1.7, 0.0, 0.0, 0.0)


def test_cruise_heads_where_it_goes():
    base, step = Cruise(8.0, -1.7), 1e-4
    for time_s in (0.0, 1.3, 5.0):
        before, after = base.pose(time_s - step), base.pose(time_s + step)
        heading = np.arctan2(after.y - before.y, after.x - before.x)
        assert_allclose(base.pose(time_s).yaw, heading, atol=1e-6)


def test_hover_stays_within_reach_at_its_height():
    drone = Hover(5.0, 0.0, 80.0, 0.0, reach_m=6.0, period_s=30.0, turn_rad=0.1)
    poses = [drone.pose(t) for t in np.linspace(0, 90, 200)]
    assert max(abs(p.x - 5.0) for p in poses) <= 6.0
    assert {p.z for p in poses} == {80.0}
