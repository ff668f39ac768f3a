"""What the benchmark may be asked for."""

from __future__ import annotations

import pytest

from thermal_perception.cli.benchmark.options import BenchmarkOptions, parse_ways, Way
from thermal_perception.errors import ConfigError


@pytest.mark.parametrize(
    ('texts', 'precision', 'expected'),
    [
        pytest.param(['torch'], 'auto', [('torch', 'auto')], id='one'),
        pytest.param(
            ['torch, openvino'], 'fp32', [('torch', 'fp32'), ('openvino', 'fp32')], id='comma'
        ),
        pytest.param(
            ['openvino:bf16', 'openvino'],
            'fp32',
            [('openvino', 'bf16'), ('openvino', 'fp32')],
            id='repeated, with precisions',
        ),
    ],
)
def test_backends_are_read_in_their_order(texts, precision, expected):
    assert parse_ways(texts, precision) == tuple(Way(*way) for way in expected)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('torch,tensorflow', "found 'tensorflow', expected one of auto, torch"),
        ('torch,', "found '', expected one of"),
        ('openvino,torch,openvino', 'found openvino twice'),
    ],
)
def test_unknown_and_repeated_backends_are_refused(text, message):
    with pytest.raises(ConfigError, match=f'--backend: {message}'):
        parse_ways([text])


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'frames': 3}, '--frames 3: expected at least 5'),
        ({'runs': 0}, '--runs 0: expected at least 1'),
        ({'rate_hz': 0}, '--rate 0: expected more than 0'),
    ],
)
def test_impossible_options_are_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        BenchmarkOptions(**change)
