from dataclasses import replace

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

from thermal_perception.simulation.camera import Agc, ThermalSensor
from thermal_perception.simulation.thermal import apply_agc, detect, expose

QUIET = ThermalSensor(netd_k=0.0, pattern_k=0.0, drift_k_per_s=0.0, blur_px=0.0)
FLAT = np.full((256, 320), 290.0, np.float32)


def test_detect_with_a_perfect_sensor_changes_nothing():
    assert_array_equal(detect(FLAT, QUIET, 1.0), FLAT)


def test_noise_has_the_stated_netd():
    noisy = detect(FLAT, replace(QUIET, netd_k=0.05), 1.0)
    assert_allclose(noisy.std(), 0.05, rtol=0.03)
    assert_allclose(noisy.mean(), 290.0, atol=2e-3)


def test_noise_of_two_frames_is_independent_and_of_one_time_the_same():
    sensor = replace(QUIET, netd_k=0.05)
    first, second = detect(FLAT, sensor, 1.0), detect(FLAT, sensor, 1.1)
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.02
    assert_array_equal(first, detect(FLAT, sensor, 1.0))


def test_fixed_pattern_stays_from_frame_to_frame_and_differs_between_cameras():
    sensor = replace(QUIET, pattern_k=0.1)
    first, later = (detect(FLAT, sensor, t) - 290.0 for t in (1.0, 2.0))
    other = detect(FLAT, replace(sensor, seed=5), 1.0) - 290.0
    assert_array_equal(first, later)
    assert 0.05 < first.std() < 0.15
    assert abs(np.corrcoef(first.ravel(), other.ravel())[0, 1]) < 0.5


def test_fixed_pattern_grows_until_a_correction_renews_it():
    sensor = replace(QUIET, drift_k_per_s=0.01, ffc_period_s=100.0, ffc_first_s=50.0)
    before, after = (detect(FLAT, sensor, t).std() for t in (49.0, 51.0))
    assert before > 20 * after > 0.0


def test_blur_spreads_a_hot_pixel_and_keeps_its_heat():
    image = FLAT.copy()
    image[128, 160] += 100.0
    soft = detect(image, replace(QUIET, blur_px=1.0), 0.0)
    assert soft.max() < 320.0
    assert_allclose((soft[120:137, 152:169] - 290.0).sum(), 100.0, rtol=1e-2)


def test_expose_16_bit_writes_the_counts_model():
    counts = expose(FLAT, QUIET, 16)
    assert counts.dtype == np.uint16
    assert_array_equal(np.unique(counts), [29000])


def test_agc_of_a_constant_picture_is_a_constant_grey():
    image = apply_agc(FLAT, Agc(middle=0.4))
    assert_array_equal(np.unique(image), [102])


def test_agc_is_monotonic_without_sharpening():
    ramp = np.tile(np.linspace(270.0, 310.0, 640, dtype=np.float32), (100, 1))
    image = apply_agc(ramp, Agc(sharpen=0.0)).astype(int)
    assert (np.diff(image[0]) >= 0).all()
    assert image.min() < 10
    assert image.max() > 245


def test_agc_does_not_stretch_a_span_below_its_least():
    ramp = np.tile(np.linspace(290.0, 290.6, 640, dtype=np.float32), (100, 1))
    image = apply_agc(ramp, Agc(sharpen=0.0, least_span_k=6.0))
    assert int(image.max()) - int(image.min()) < 40


def test_agc_keeps_a_hot_spot_white():
    image = FLAT.copy()
    image += np.linspace(-3, 3, 320, dtype=np.float32)
    image[100:120, 100:120] = 306.0
    assert apply_agc(image, Agc(sharpen=0.0))[110, 110] > 235
