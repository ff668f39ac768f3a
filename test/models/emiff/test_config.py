"""What cannot be built is refused by name."""

from __future__ import annotations

import pytest

from thermal_perception.config import from_mapping
from thermal_perception.errors import ConfigError
from thermal_perception.models.emiff.config import CompressionLevel, EmiffConfig


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        ({'anchors': []}, r"anchors: found 0 .*expected one for each of \('car',\)"),
        ({'anchors': [{}, {}]}, r"anchors: found 2 of classes \['', ''\]"),
        ({'anchors': [{'class_name': 'car'}, {'class_name': 'bus'}]}, "found 2 .*'bus'"),
        ({'class_names': ['car', 'bus'], 'anchors': [{'class_name': 'car'}]}, 'found 1 of'),
        (
            {'compression': [{'c': 5, 's': 1}]},
            'found c 5, s 1, expected c to divide 64 and s 0 to 4',
        ),
        ({'compression': [{'c': 64, 's': 5}]}, 's 5'),
        ({'compression': [{'c': 16, 's': 0}, {'c': 4, 's': 1}]}, 'found one ratio twice'),
        ({'neck_widths': [32, 64, 128]}, 'expected the first to be 64'),
        ({'grid': {'counts': [248, 288, 8]}}, 'grid.counts: found .*8.*expected .*9 to 12'),
        ({'grid': {'low_m': [0, 0, 0], 'high_m': [1, 0, 1]}}, 'expected a volume'),
        ({'merge': {'missing_divisor': 3}}, 'expected 1 or 2'),
        ({'merge': {'level': 'bev', 'weights': 'valid'}}, 'expected level voxel'),
        ({'mca': {'corection': 'none'}}, "did you mean 'correction'"),
    ],
)
def test_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        from_mapping(EmiffConfig, values, where='run.yaml')


def test_levels_are_read_as_pairs():
    config = from_mapping(
        EmiffConfig, {'compression': [{'c': 64, 's': 0}, {'c': 64, 's': 2}]}, where='x'
    )
    assert config.compression == (CompressionLevel(64, 0), CompressionLevel(64, 2))
    assert [level.name for level in config.compression] == ['64x', '1024x']


def test_a_class_may_have_anchors_of_several_sizes():
    config = from_mapping(
        EmiffConfig,
        {
            'class_names': ['person', 'car'],
            'anchors': [
                {'class_name': 'car'},
                {'class_name': 'car', 'size_m': [9, 2.5, 3.2]},
                {'class_name': 'person', 'size_m': [0.8, 0.6, 1.7]},
            ],
        },
        where='x',
    )
    assert config.anchor_labels == (1, 1, 0)
    assert config.anchors_per_cell == 6
    assert EmiffConfig().anchor_labels == (0,)
