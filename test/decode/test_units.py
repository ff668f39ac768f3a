from __future__ import annotations

import pytest

from thermal_perception.decode.units import THERMAL_UNITS, thermal_units, ThermalUnits
from thermal_perception.errors import ConfigError


@pytest.mark.parametrize(
    ('name', 'counts', 'unit', 'value'),
    [
        pytest.param('temperature_linear_10mk', 29315, 'kelvin', 293.15, id='20 C at 10 mK'),
        pytest.param('temperature_linear_40mk', 6828, 'kelvin', 273.12, id='0 C at 40 mK'),
        pytest.param('temperature_linear_100mk', 3731, 'kelvin', 373.1, id='100 C at 100 mK'),
        pytest.param('lepton_10mk', 30315, 'kelvin', 303.15, id='30 C of a Lepton'),
        pytest.param('lepton_100mk', 3031, 'kelvin', 303.1, id='30 C of a Lepton, low gain'),
        pytest.param('y16_raw', 21000, 'counts', 21000.0, id='raw counts'),
        pytest.param('y14_raw', 8000, 'counts', 8000.0, id='raw counts of 14 bits'),
        pytest.param('celsius', 21.5, 'celsius', 21.5, id='float celsius'),
        pytest.param('kelvin', 294.65, 'kelvin', 294.65, id='float kelvin'),
    ],
)
def test_units_by_name_give_the_value_of_a_count(name, counts, unit, value):
    units = thermal_units(name)
    assert units.unit == unit
    assert counts * units.scale + units.offset == pytest.approx(value)


def test_valid_bits_of_raw_units_are_those_of_the_name():
    assert [THERMAL_UNITS[n].valid_bits for n in ('y16_raw', 'y14_raw', 'counts')] == [
        16,
        14,
        None,
    ]


def test_unknown_units_are_refused_with_the_known_names():
    with pytest.raises(ConfigError, match="found 'fahrenheit', expected one of counts, y16_raw"):
        thermal_units('fahrenheit')


@pytest.mark.parametrize(
    ('values', 'text'),
    [
        pytest.param({'unit': 'fahrenheit'}, "found unit 'fahrenheit'", id='unit'),
        pytest.param({'scale': 0.0}, 'found scale 0.0', id='zero scale'),
        pytest.param({'offset': float('nan')}, 'offset nan', id='offset'),
        pytest.param({'valid_bits': 17}, 'found valid_bits 17, expected 1..16', id='bits'),
    ],
)
def test_impossible_units_are_refused(values, text):
    with pytest.raises(ConfigError, match=text):
        ThermalUnits(**values)
