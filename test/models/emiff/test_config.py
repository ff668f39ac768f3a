"""What cannot be built is refused by name."""

from __future__ import annotations

import pytest

from thermal_perception.config import from_mapping
from thermal_perception.errors import ConfigError
from thermal_perception.models.emiff.config import CompressionLevel, EmiffConfig


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        ({'anchors': []}, r"anchors: found 0, expected one for each of \('car',\)"),
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
