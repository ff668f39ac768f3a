"""Light and altitude from names of images, as the data sets document them."""

from __future__ import annotations

import pytest

from thermal_perception.evaluation.attributes import (
    attribute_values,
    attributes_by_id,
    image_attributes,
    sampling_units,
)


@pytest.mark.parametrize(
    ('name', 'expected'),
    [
        ('0_60_30_0_01234.jpg', {'light': 'day', 'altitude': '60 m'}),
        ('val/1_130_90_0_00001.webp', {'light': 'night', 'altitude': '130 m'}),
        ('00123N.png', {'light': 'night'}),
        ('00004D.png', {'light': 'day'}),
        ('00004D_flip.png', {'light': 'day'}),
        ('set06_V000_I00019.jpg', {'light': 'day'}),
        ('set10/V001/lwir/I00019.jpg', {'light': 'night'}),
        ('FLIR_08865.jpg', {}),
        ('2_60_30_0_01234.jpg', {}),
        ('', {}),
    ],
)
def test_attributes_follow_the_naming_of_each_data_set(name, expected):
    assert image_attributes(name) == expected


def test_simulated_images_tell_their_condition_in_the_annotations():
    rows = [{'id': 4, 'file_name': 'a.png', 'condition': 'fog'}, {'id': 5}]
    assert attributes_by_id({'images': rows}) == {4: {'condition': 'fog'}, 5: {}}


def test_values_come_light_first_and_altitudes_by_number():
    attributes = {
        n: image_attributes(name)
        for n, name in enumerate(['1_100_30_0_1.jpg', '0_60_30_0_1.jpg', '0_130_30_0_1.jpg', 'x'])
    }
    assert attribute_values(attributes) == [
        ('light', 'day'),
        ('light', 'night'),
        ('altitude', '60 m'),
        ('altitude', '100 m'),
        ('altitude', '130 m'),
    ]


def test_units_are_scenes_only_if_every_image_names_one():
    rows = [{'id': 1, 'scene_seed': 7}, {'id': 2, 'scene_seed': 7}, {'id': 3, 'scene_seed': 8}]
    assert sampling_units({'images': rows}, [3, 1, 2]) == ('scene', [8, 7, 7])
    assert sampling_units({'images': [*rows, {'id': 4}]}, [1, 4]) == ('image', [1, 4])
