from dataclasses import replace

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
import pytest

from thermal_perception.errors import SimulationError
from thermal_perception.geometry import invert, project, transform_points
from thermal_perception.simulation.camera import (
    CameraSpec,
    default_rig,
    mount,
    pinhole,
    ThermalSensor,
)


def pixel(camera, point_base):
    points = transform_points(invert(camera.T_base_camera), np.array([point_base]))
    return project(points, camera.K)[0]


def test_mount_looks_ahead_along_base_x():
    camera = CameraSpec('thermal', (512, 640), pinhole((512, 640), 600.0), mount((1, 0, 1.5)), 'c')
    assert_allclose(pixel(camera, (11.0, 0.0, 1.5)), (319.5, 255.5))
    # 1 m left and 0.5 m up at 10 m: 60 px left, 30 px up
    assert_allclose(pixel(camera, (11.0, 1.0, 2.0)), (259.5, 225.5))


def test_mount_pitched_by_90_degrees_looks_straight_down():
    T = mount((0, 0, 0), pitch_deg=90.0)
    assert_allclose(T[:3, 2], (0, 0, -1), atol=1e-12)  # optical axis
    assert_allclose(T[:3, 0], (0, -1, 0), atol=1e-12)  # image right is base right


def test_camera_when_modality_unknown_then_says_so():
    with pytest.raises(SimulationError, match="found 'radar', expected thermal or rgb"):
        CameraSpec('radar', (64, 64), np.eye(3), np.eye(4), 'c')


def test_camera_when_matrices_are_malformed_then_names_the_camera():
    with pytest.raises(SimulationError, match=r'camera front: .*\(3, 4\)'):
        CameraSpec('rgb', (64, 64), np.eye(3, 4), np.eye(4), 'front')


def test_default_rig_registered_shares_pose_size_and_intrinsics():
    rig = default_rig('road', registered=True)
    assert rig.rgb.size == rig.thermal.size
    assert_array_equal(rig.rgb.K, rig.thermal.K)
    assert_allclose(rig.T_rgb_thermal, np.eye(4), atol=1e-12)


def test_default_rig_sets_the_colour_camera_12_cm_to_the_left():
    rig = default_rig('road')
    centre = rig.rgb.T_base_camera[:3, 3] - rig.thermal.T_base_camera[:3, 3]
    assert_allclose(centre, (0.0, 0.12, 0.03))
    assert rig.rgb.size == (720, 1280)


def test_default_rig_with_a_seed_varies_lens_and_sensor_but_repeats():
    a, b, again = (default_rig('aerial', seed=s).thermal for s in (1, 2, 1))
    assert a.K[0, 0] != b.K[0, 0]
    assert a.thermal != b.thermal
    assert a.thermal == again.thermal
    assert_array_equal(a.T_base_camera, again.T_base_camera)


def test_default_rig_when_preset_unknown_then_lists_presets():
    with pytest.raises(SimulationError, match='road or aerial'):
        default_rig('sea')


def test_shutter_holds_the_picture_of_its_closing():
    sensor = ThermalSensor(ffc_period_s=10.0, ffc_first_s=2.0, ffc_hold_s=0.5)
    assert sensor.exposure_time_s(1.9) == 1.9
    assert sensor.exposure_time_s(2.3) == 2.0
    assert sensor.exposure_time_s(2.6) == 2.6
    assert sensor.exposure_time_s(22.49) == 22.0


def test_shutter_without_period_never_closes():
    sensor = replace(ThermalSensor(), ffc_period_s=0.0)
    assert sensor.exposure_time_s(5.1) == 5.1
    assert sensor.last_ffc_s(5.1) is None
