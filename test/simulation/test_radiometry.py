import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
import pytest

from thermal_perception.errors import SimulationError
from thermal_perception.simulation.radiometry import (
    apparent_kelvin,
    radiance,
    seen_kelvin,
    to_counts,
)


def look(kelvin=300.0, *, emissivity=1.0, reflected=250.0, air=280.0, transmission=1.0):
    return seen_kelvin(
        np.array([kelvin]),
        emissivity=emissivity,
        reflected_kelvin=reflected,
        air_kelvin=air,
        transmission=transmission,
    )[0]


def test_radiance_of_300_kelvin_is_the_planck_form_worked_by_hand():
    # 1428 / 300 = 4.76, exp(4.76) = 116.746, minus 1 is 115.746
    assert_allclose(radiance(np.array([300.0])), [1 / 115.746], rtol=1e-5)


def test_apparent_kelvin_undoes_radiance():
    kelvin = np.array([220.0, 273.15, 300.0, 400.0])
    assert_allclose(apparent_kelvin(radiance(kelvin)), kelvin, rtol=1e-12)


def test_seen_kelvin_of_black_body_through_clear_air_is_its_own():
    assert_allclose(look(310.0), 310.0)


def test_seen_kelvin_through_opaque_air_is_that_of_the_air():
    assert_allclose(look(310.0, transmission=0.0, air=281.0), 281.0)


def test_seen_kelvin_of_a_mirror_is_what_it_mirrors():
    assert_allclose(look(310.0, emissivity=0.0, reflected=240.0), 240.0)


def test_seen_kelvin_lies_between_surface_and_mirrored_sky():
    seen = look(300.0, emissivity=0.9, reflected=240.0)
    assert 294.0 < seen < 298.0


def test_to_counts_temperature_linear_10mk_is_a_hundred_counts_per_kelvin():
    counts = to_counts(np.array([[300.0, 273.154]]), 'temperature_linear_10mk')
    assert counts.dtype == np.uint16
    assert_array_equal(counts, [[30000, 27315]])


def test_to_counts_temperature_linear_100mk_is_ten_counts_per_kelvin():
    assert_array_equal(to_counts(np.array([300.04]), 'temperature_linear_100mk'), [3000])


def test_to_counts_planck_rises_with_temperature_and_stays_within_14_bits():
    counts = to_counts(np.linspace(230.0, 600.0, 50), 'planck_14bit')
    assert (np.diff(counts.astype(int)) >= 0).all()
    assert counts.max() == 16383
    assert counts.min() > 100


def test_to_counts_when_model_unknown_then_names_the_known_ones():
    with pytest.raises(SimulationError, match='temperature_linear_10mk'):
        to_counts(np.array([300.0]), 'lepton')
