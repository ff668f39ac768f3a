import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
import pytest

from thermal_perception.errors import SimulationError
from thermal_perception.simulation import Scene
from thermal_perception.simulation.actors import BICYCLE, CAR, NO_CLASS, OTHER_VEHICLE, PERSON


@pytest.fixture(scope='module')
def moving():
    return next(s for s in (Scene('road', 'day', seed) for seed in range(9)) if speed(s) > 0)


@pytest.fixture(scope='module')
def aerial():
    return Scene('aerial', 'night', 3)


def speed(scene):
    return scene.odometry(0.0).linear_mps[0]


def test_scene_of_the_same_seed_is_the_same(moving):
    again = Scene('road', 'day', moving.seed)
    assert_array_equal(again.world.ground.kelvin, moving.world.ground.kelvin)
    assert_array_equal(again.bank.surfaces, moving.bank.surfaces)
    assert_array_equal(again.poses(3.3).xyz, moving.poses(3.3).xyz)


def test_scene_of_another_seed_has_another_layout_and_climate(moving):
    other = Scene('road', 'day', moving.seed + 1)
    assert other.world.climate.air != moving.world.climate.air
    assert other.poses(0.0).xyz.shape != moving.poses(0.0).xyz.shape or not np.allclose(
        other.poses(0.0).xyz, moving.poses(0.0).xyz
    )


@pytest.mark.parametrize('fixture', ['moving', 'aerial'])
def test_scene_has_every_class_and_scenery(fixture, request):
    labels = request.getfixturevalue(fixture).bank.labels
    assert set(labels.tolist()) >= {NO_CLASS, PERSON, CAR, BICYCLE}
    assert set(labels.tolist()) <= {NO_CLASS, PERSON, CAR, BICYCLE, OTHER_VEHICLE}


def test_odometry_agrees_with_the_poses(moving):
    step, time_s = 1e-3, 4.2
    before, after = moving.pose(time_s - step), moving.pose(time_s + step)
    odometry = moving.odometry(time_s)
    world = odometry.T_world_base[:3, :3] @ odometry.linear_mps
    assert_allclose(world, (after[:3, 3] - before[:3, 3]) / (2 * step), atol=1e-6)
    assert_allclose(odometry.linear_mps[1:], 0.0, atol=1e-6)  # it drives where it heads
    assert_array_equal(odometry.T_world_base, moving.pose(time_s))


def test_road_goes_on_for_ever_and_keeps_everybody_near_the_base(moving):
    for time_s in (0.0, 37.0, 5000.0):
        ahead = moving.poses(time_s).xyz[:, 0] - moving.pose(time_s)[0, 3]
        assert ahead.min() >= -38.0
        assert ahead.max() < 282.0


def test_nobody_jumps_between_two_frames_unless_far_away(moving):
    before, after = moving.poses(2.0), moving.poses(2.05)
    step = np.linalg.norm(after.xyz - before.xyz, axis=1)
    assert ((step < 1.0) | (step > 300.0)).all()


def test_aerial_base_hovers_at_the_heights_of_the_real_flights(aerial):
    assert 58.0 <= aerial.pose(0.0)[2, 3] <= 132.0
    assert 27.0 <= aerial.pitch_deg <= 93.0


def test_scene_when_preset_unknown_then_lists_presets():
    with pytest.raises(SimulationError, match="found 'sea', expected road or aerial"):
        Scene('sea')


def test_scene_when_condition_unknown_then_lists_conditions():
    with pytest.raises(SimulationError, match="found 'snow', expected day"):
        Scene('road', 'snow')


def test_scene_when_seed_negative_then_refuses():
    with pytest.raises(SimulationError, match='found -1'):
        Scene('road', 'day', -1)
