"""What the benchmark concludes from given times."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from thermal_perception.cli.benchmark.report import (
    BenchmarkResult,
    Rates,
    stage_table,
    Timing,
    verdict_table,
)


def result(**changes):
    values = {
        'machine': {'cpu': 'test', 'amx': True},
        'model': {'name': 'tiny', 'fingerprint': '0'},
        'output': 'detections',
        'input_hz': 30.0,
        'size': (512, 640),
        'backends': {('torch', 'fp32'): Timing(100.0, 120.0)},
        'stages_ms': {
            'decode': [0.5, 0.25, 0.75],
            'model': [100.0, 101.0, 99.0],
            'total': [104.0, 107.0, 102.0],
            'overhead': [4.0, 6.0, 3.0],
        },
        'transport': Timing(1.5, 3.0),
        'transport_lost': 0.0,
        'rates': [Rates(10.0, 9.5), Rates(10.0, 8.0), Rates(8.0, 7.76)],
        'ages_ms': [150.0] * 99 + [200.0],
    }
    return BenchmarkResult(**{**values, **changes})


def text_of(table):
    console = Console(width=120, file=io.StringIO())
    console.print(table)
    return console.file.getvalue()


def test_timing_is_median_and_99th_percentile():
    timing = Timing.of(list(range(101)))
    assert (timing.median_ms, timing.p99_ms) == (50, 99)


def test_overhead_is_what_the_node_measured_without_the_network():
    assert result().overhead.median_ms == 4.0


def test_rate_ratio_is_the_median_over_pairs_of_runs():
    assert result().rate_ratio == pytest.approx(0.95)


def test_age_factor_compares_99th_percentiles():
    assert result().age_factor is None
    ours = result(ages_ms=[100.0, 100.0], naive_ages_ms=[700.0, 700.0])
    assert ours.age_factor == pytest.approx(7.0)


def test_json_has_what_scripts_rely_on():
    values = json.loads(json.dumps(result().to_json()))
    assert values['backends'] == [
        {'name': 'torch', 'precision': 'fp32', 'median_ms': 100.0, 'p99_ms': 120.0}
    ]
    assert values['stages']['decode']['median_ms'] == 0.5
    assert {'overhead_median_ms', 'rate_ratio', 'age_p99_ms'} <= set(values['node'])
    assert len(values['node']['runs']) == 3
    assert 'naive' not in values
    assert values['machine'] == {'cpu': 'test', 'amx': True}
    with_naive = result(naive_ages_ms=[900.0] * 10, naive_hz=9.0).to_json()
    assert with_naive['naive']['age_p99_ms'] == 900.0
    assert with_naive['naive']['rate_hz'] == 9.0


@pytest.mark.parametrize(
    ('changes', 'met', 'missed'),
    [
        ({}, 2, 0),
        ({'stages_ms': {'overhead': [6.5]}}, 1, 1),
        ({'rates': [Rates(10.0, 8.9)]}, 1, 1),
        ({'ages_ms': [100.0], 'naive_ages_ms': [400.0]}, 3, 0),
        ({'ages_ms': [100.0], 'naive_ages_ms': [399.0]}, 2, 1),
        ({'machine': {}, 'ages_ms': [100.0], 'naive_ages_ms': [131.0]}, 3, 0),
        ({'machine': {'gpu': 'x'}, 'ages_ms': [100.0], 'naive_ages_ms': [131.0]}, 2, 1),
    ],
)
def test_verdict_compares_with_the_budget(changes, met, missed):
    text = text_of(verdict_table(result(**changes)))
    assert (text.count(' met '), text.count(' missed ')) == (met, missed)


def test_stage_table_names_sums_transport_and_the_network():
    text = text_of(stage_table(result()))
    for fact in (
        '640x512 mono16',
        'decode',
        'the same without the network',
        'transport',
        'network alone, torch fp32',
        '100.00',
        '1.50',
    ):
        assert fact in text
