"""The benchmark end to end, over DDS with tiny images: every number of the contract is there."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from thermal_perception.cli.benchmark.benchmark import benchmark
from thermal_perception.cli.benchmark.machine import describe_machine, machine_text
from thermal_perception.cli.benchmark.options import BenchmarkOptions
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
            '--size',  # of which a network answers so few that a camera can send twice as many
            '128',
            '160',
            '--frames',
            '5',
            '--runs',
            '2',
            '--rate',
            '20',
            '--against',
            'naive',
            '--overload',
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
    assert node['published_age_median_ms'] > 0
    frames = node['frames']
    assert frames['sent'] > frames['answered'] >= 20  # five of each turn are not measured
    assert frames['sent'] == frames['answered'] + sum(frames['given_up'].values()) + frames['lost']
    assert 0 < node['cores'] < os.cpu_count() + 1
    assert node['peak_memory_mib'] > 100
    assert values['naive']['age_p99_ms'] > 0
    overload = values['overload']
    assert overload['input_hz'] > 1.2 * node['rate_hz']  # twice, if the camera gets its share
    assert overload['frames']['given_up']['replaced'] > 0
    assert overload['age_growth'] < 3  # newest wins: a queue would grow by far more
    assert 'all but the network, median' in done.stdout
    assert machine_text(values['machine']).splitlines()[0] in done.stdout


def test_straightforward_node_is_not_run_beside_a_model_of_two_cameras(pair_checkpoint):
    with pytest.raises(ConfigError, match='a model of thermal and rgb images, expected one of'):
        benchmark(BenchmarkOptions(checkpoint=pair_checkpoint, naive=True))


@pytest.mark.parametrize('output', ['overlay', 'segmentation'])
def test_output_that_the_network_does_not_make_is_refused(pair_checkpoint, output):
    with pytest.raises(ConfigError, match=f"--only: found '{output}', expected an image of the"):
        benchmark(BenchmarkOptions(checkpoint=pair_checkpoint, only=output))


def test_machine_is_described_by_plain_values():
    machine = describe_machine()
    assert machine['cores'] >= machine['threads'] >= 1
    assert machine['memory_gib'] > 0
    assert json.loads(json.dumps(machine)) == machine


def test_machine_is_told_with_its_flags_and_versions():
    machine = dict.fromkeys(describe_machine(), '')
    machine |= {'cpu': 'Chip', 'cores': 2, 'threads': 1, 'memory_gib': 8.0, 'gpu': None}
    machine |= {'avx2': True, 'bf16': True, 'torch': '2.13.0', 'thermal_perception': '0.1.0'}
    assert machine_text(machine).splitlines() == [
        'Chip with AVX2, bf16',
        'thermal_perception 0.1.0; cores 2, threads of a network 1, 8.0 GiB, no GPU',
        'torch 2.13.0, no openvino, no onnxruntime',
    ]
