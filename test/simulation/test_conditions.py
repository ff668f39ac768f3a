import dataclasses

import numpy as np
import pytest

from thermal_perception.errors import SimulationError
from thermal_perception.simulation.climate import draw_climate
from thermal_perception.simulation.conditions import (
    condition_named,
    CONDITIONS,
    DAY,
    FOG,
    HEAT,
    NIGHT,
)


def ranges(record):
    values = dataclasses.asdict(record)
    return {k: v for k, v in values.items() if isinstance(v, tuple) and len(v) == 2}


@pytest.mark.parametrize('record', [*CONDITIONS.values(), HEAT], ids=lambda r: type(r).__name__)
def test_every_range_has_its_low_end_first(record):
    assert all(low <= high for low, high in ranges(record).values())


def test_conditions_are_those_of_the_command_line():
    assert set(CONDITIONS) == {'day', 'dusk', 'night', 'fog', 'glare'}


@pytest.mark.parametrize('condition', CONDITIONS.values(), ids=CONDITIONS)
def test_air_hides_visible_light_more_than_heat(condition):
    assert condition.rgb_extinction_per_m[0] > condition.thermal_extinction_per_m[0]


def test_fog_hides_a_car_at_50_m_from_colour_but_not_from_thermal():
    rgb, thermal = FOG.rgb_extinction_per_m[0], FOG.thermal_extinction_per_m[1]
    assert np.exp(-50 * rgb) < 0.25 < 0.5 < np.exp(-50 * thermal)


def test_condition_named_when_unknown_then_lists_the_known():
    with pytest.raises(SimulationError, match="found 'rain', expected day, dusk"):
        condition_named('rain')


def test_draw_climate_stays_within_the_ranges_and_has_a_sun_only_by_day():
    for seed in range(5):
        day = draw_climate(DAY, np.random.default_rng(seed))
        low, high = DAY.air_c
        assert low <= day.air - 273.15 <= high
        assert DAY.road_dk[0] <= day.road - day.air <= DAY.road_dk[1]
        assert day.sun_direction[2] > 0.4
        assert draw_climate(NIGHT, np.random.default_rng(seed)).sun_direction[2] < 0


def test_draw_climate_of_two_seeds_differs():
    air = {draw_climate(DAY, np.random.default_rng(seed)).air for seed in range(4)}
    assert len(air) == 4
