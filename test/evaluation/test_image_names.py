from __future__ import annotations

import pytest

from thermal_perception.evaluation.image_names import Attributes, attributes_of, light_of


@pytest.mark.parametrize(
    ('name', 'expected'),
    [
        ('0_130_60_0_07226', Attributes('day', 130.0, 60.0)),
        ('1_60_90_1_00001', Attributes('night', 60.0, 90.0)),
        ('00537D', Attributes('day')),
        ('01023N', Attributes('night')),
        ('road_day_0000_003', Attributes('day')),
        ('aerial_glare_0012_000', Attributes('night')),  # lamps that blind, at night
        ('road_dusk_0000_003', Attributes()),
        ('FLIR_00006', Attributes()),
        ('1_60_90', Attributes()),
    ],
)
def test_light_altitude_and_angle_are_told_by_known_names_only(name, expected):
    assert attributes_of(name) == expected


@pytest.mark.parametrize(
    ('word', 'light'), [('day', 'day'), ('night', 'night'), ('dawn/dusk', None), (None, None)]
)
def test_notes_of_light_other_than_day_and_night_tell_nothing(word, light):
    assert light_of(word) == light
