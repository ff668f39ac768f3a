"""The benchmark end to end, over DDS with tiny images: every number of the contract is there."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from thermal_perception.cli.benchmark.benchmark import benchmark, BenchmarkOptions
from thermal_perception.cli.benchmark.machine import describe_machine
from thermal_perception.cli.processes import command_of
from thermal_perception.errors import ConfigError


@pytest.mark.timeout(290)
def test_node_and_straightforward_node_are_measured(tmp_path, checkpoint):
    path = tmp_path / 'benchmark.json'
    done = subprocess.run(
        command_of(
            'benchmark',
            '--checkpoint',
            str(checkpoint),
            '--size',
            '64',
            '96',
            '--frames',
            '5',
            '--runs',
            '2',
            '--rate',
            '20',
            '--against',
            'naive',
            '--device',
            'cpu',
            '--json',
            str(path),
        ),
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
        env={**os.environ, 'OMP_NUM_THREADS': '1'},
    )
    assert done.returncode == 0, done.stderr
    assert 'killed' not in done.stderr
    values = json.loads(path.read_text())
    (backend,) = values['backends']
    assert (backend['name'], backend['precision']) == ('torch', 'fp32')
    assert 0 < backend['median_ms'] <= backend['p99_ms']
    assert {'decode', 'preprocess', 'model', 'postprocess', 'total'} <= set(values['stages'])
    node = values['node']
    assert 0 < node['overhead_median_ms'] < values['stages']['total']['median_ms']
    assert node['rate_ratio'] > 0
    assert node['answers'] == values['naive']['answers'] == 10
    assert 0 < node['age_median_ms'] <= node['age_p99_ms']
    assert values['naive']['age_p99_ms'] > 0
    assert 'all but the network, median' in done.stdout


def test_straightforward_node_is_not_run_beside_a_model_of_two_cameras(pair_checkpoint):
    with pytest.raises(ConfigError, match='a model of thermal and rgb images, expected one of'):
        benchmark(BenchmarkOptions(checkpoint=pair_checkpoint, naive=True))


@pytest.mark.parametrize('output', ['overlay', 'segmentation'])
def test_output_that_the_network_does_not_make_is_refused(pair_checkpoint, output):
    with pytest.raises(ConfigError, match=f"--only: found '{output}', expected an image of the"):
        benchmark(BenchmarkOptions(checkpoint=pair_checkpoint, only=output))


def test_machine_is_described_by_plain_values():
    machine = describe_machine()
    assert machine['cores'] >= 1
    assert machine['memory_gib'] > 0
    assert json.loads(json.dumps(machine)) == machine


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
