from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
import pytest

from thermal_perception.decode.radiometry import (
    frame_in_kelvin,
    kelvin_table,
    object_kelvin,
    PlanckConstants,
    ViewingConditions,
)
from thermal_perception.errors import ConfigError, DecodeError
from thermal_perception.types import Frame

# Constants as the files of these cameras carry them.
T640 = PlanckConstants(R1=15848.854, R2=0.0145331, B=1414.9, F=1.0, O=-4405)
XT2 = PlanckConstants(R1=17096.453, R2=0.0465821, B=1428.0, F=1.0, O=-267)
DUO_PRO_R = PlanckConstants(R1=364058.0, B=1428.0, F=1.0, O=-228)
E40 = PlanckConstants(R1=14866.514, R2=0.0110865, B=1395.7, F=1.0, O=-5859)

# The conditions noted in an E40 file; an independent open-source reader gives the temperatures
# that the test below expects.
E40_CONDITIONS = ViewingConditions(
    emissivity=0.95,
    reflected_kelvin=294.14,
    atmosphere_kelvin=287.14,
    distance_m=2.0,
    relative_humidity=0.49,
    window_kelvin=292.14,
    window_transmission=0.98,
)


def test_kelvin_by_hand_is_b_over_logarithm():
    # R1 / (R2 (counts + O)) + F = 200 / (2 * (60 - 10)) + 1 = 3
    planck = PlanckConstants(R1=200.0, R2=2.0, B=300.0 * np.log(3.0), F=1.0, O=-10.0)
    assert_allclose(planck.kelvin(60), 300.0)


@pytest.mark.parametrize(
    ('planck', 'counts', 'celsius'),
    [
        pytest.param(T640, [13988, 15362, 28094], [25.15, 33.74, 94.27], id='FLIR T640'),
        pytest.param(XT2, [3233, 3713, 6859], [22.73, 32.14, 80.55], id='DJI XT2'),
        pytest.param(DUO_PRO_R, [2623, 2699, 2739], [10.72, 12.48, 13.40], id='FLIR Duo Pro R'),
        pytest.param(E40, [17059, 17604, 18266], [18.01, 20.90, 24.31], id='FLIR E40'),
    ],
)
def test_counts_of_a_real_camera_are_its_published_temperature(planck, counts, celsius):
    assert_allclose(object_kelvin(counts, planck) - 273.15, celsius, atol=0.01)


def test_emissivity_air_and_window_are_corrected_as_the_reference_does():
    celsius = object_kelvin([17059, 17604, 18266], E40, E40_CONDITIONS) - 273.15
    assert_allclose(celsius, [17.88, 21.01, 24.70], atol=0.01)


@pytest.mark.parametrize('planck', [T640, XT2, DUO_PRO_R, E40])
def test_counts_of_a_temperature_give_that_temperature(planck):
    kelvin = np.linspace(240.0, 420.0, 50)
    assert_allclose(planck.kelvin(planck.counts(kelvin)), kelvin, atol=1e-6)


def test_default_conditions_are_a_black_body():
    counts = np.arange(9000, 20000, 500)
    assert_allclose(object_kelvin(counts, T640, ViewingConditions()), object_kelvin(counts, T640))


def test_surface_at_the_temperature_of_everything_else_needs_no_correction():
    kelvin = 295.0
    conditions = ViewingConditions(0.6, kelvin, kelvin, 30.0, 0.7, kelvin, 0.8)
    assert_allclose(object_kelvin(T640.counts(kelvin), T640, conditions), kelvin, atol=1e-9)


def test_poor_emitter_warmer_than_its_surroundings_is_hotter_than_it_looks():
    counts = T640.counts(320.0)
    shiny = object_kelvin(counts, T640, ViewingConditions(emissivity=0.7))
    assert shiny > 325.0


def test_counts_without_a_temperature_are_nan():
    kelvin = object_kelvin([0, 4405, 4406, 20000], T640)
    assert_array_equal(np.isnan(kelvin), [True, True, False, False])


def test_temperature_rises_with_counts():
    table = kelvin_table(T640)
    valid = table[np.isfinite(table)]
    assert table.shape == (65536,)
    assert (np.diff(valid) >= 0.0).all()
    assert_array_equal(np.isnan(table[:4406]), True)


def test_frame_in_kelvin_holds_the_temperature_of_each_pixel():
    image = np.array([[9000, 12000], [15000, 100]], np.uint16)
    frame = Frame(image, 5, 'cam', 'thermal', 'mono16', 16)
    result = frame_in_kelvin(frame, kelvin_table(T640))
    assert_allclose(result.image, T640.kelvin(image), rtol=1e-6)
    assert (result.image.dtype, result.unit, result.valid_bits) == (np.float32, 'kelvin', None)
    assert (result.stamp_ns, result.frame_id, result.encoding) == (5, 'cam', 'mono16')


@pytest.mark.parametrize(
    ('image', 'unit', 'text'),
    [
        pytest.param(np.zeros((2, 2), np.uint8), 'counts', 'found uint8 in counts', id='8 bits'),
        pytest.param(np.zeros((2, 2), np.uint16), 'kelvin', 'uint16 in kelvin', id='linear'),
    ],
)
def test_frame_without_raw_counts_is_refused(image, unit, text):
    with pytest.raises(DecodeError, match=text):
        frame_in_kelvin(Frame(image, 5, 'cam', 'thermal', unit=unit), kelvin_table(T640))


def test_table_of_other_length_is_refused():
    frame = Frame(np.zeros((2, 2), np.uint16), 5, 'cam', 'thermal')
    with pytest.raises(ConfigError, match=r'found shape \(256,\), expected \(65536,\)'):
        frame_in_kelvin(frame, np.zeros(256, np.float32))


@pytest.mark.parametrize(
    ('make', 'text'),
    [
        pytest.param(lambda: PlanckConstants(-1.0, 1400.0, 1.0, 0.0), 'R1=-1.0', id='R1'),
        pytest.param(lambda: PlanckConstants(1.0, 0.0, 1.0, 0.0), 'B=0.0', id='B'),
        pytest.param(
            lambda: PlanckConstants(1.0, 1.0, 1.0, float('nan')), 'expected .* finite', id='O'
        ),
        pytest.param(
            lambda: ViewingConditions(emissivity=0.0), 'emissivity: found 0.0', id='dark'
        ),
        pytest.param(
            lambda: ViewingConditions(window_transmission=1.1),
            'window_transmission: found 1.1',
            id='window',
        ),
        pytest.param(
            lambda: ViewingConditions(relative_humidity=50.0), 'expected 0..1', id='percent'
        ),
        pytest.param(lambda: ViewingConditions(distance_m=-1.0), 'distance_m -1.0', id='distance'),
    ],
)
def test_impossible_constants_are_refused(make, text):
    with pytest.raises(ConfigError, match=text):
        make()
