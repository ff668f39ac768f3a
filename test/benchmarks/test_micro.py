"""The small steps of a frame take no more than they did, as multiples of a reference."""

from __future__ import annotations

import json
import os
from pathlib import Path
import subprocess
import sys
from types import SimpleNamespace

import pytest

pytest.importorskip('pytest_benchmark', reason='needs pytest-benchmark')
pytest.importorskip('vision_msgs', reason='needs the ROS 2 package vision_msgs')

from benchmarks.micro.conftest import RATIOS, ratios, too_slow

ROOT = Path(__file__).parents[2]
# A multiple of the least times of a busy machine may be off by two; a copy too many is more.
SLACK = 5


def bench(name, group, least_s):
    return SimpleNamespace(name=name, group=group, stats=SimpleNamespace(min=least_s))


def test_times_are_told_as_multiples_of_the_reference_of_their_group():
    found = ratios(
        [
            bench('test_reference_array', 'array', 2.0),
            bench('test_reference_objects', 'objects', 4.0),
            bench('test_decode', 'array', 3.0),
            bench('test_pairing', 'objects', 10.0),
        ]
    )
    assert found == {'test_decode': 1.5, 'test_pairing': 2.5}


def test_what_became_slow_or_is_not_written_is_named():
    sentences = too_slow({'a': 3.1, 'b': 2.9, 'new': 1.0}, {'a': 1.0, 'b': 1.0, 'old': 1.0}, 3)
    assert sentences == [
        'a: found 3.10 times its reference, expected at most 3 x 1.00',
        'new: not in ratios.json, write it anew',
    ]


def run(*arguments):
    # What pytest-xdist tells its workers would turn the timing off.
    environment = {k: v for k, v in os.environ.items() if not k.startswith('PYTEST_')}
    return subprocess.run(
        [
            sys.executable, '-m', 'pytest', 'benchmarks/micro', '-q', '-p', 'no:xdist',
            '--benchmark-max-time=0.05', '--benchmark-min-rounds=5', *arguments,
        ],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip


def test_no_step_became_much_slower():
    done = run('--ratios', 'check', '--slack', str(SLACK))
    assert done.returncode == 0, done.stdout[-3000:]


def test_a_run_whose_steps_are_slower_fails():
    done = run('--ratios', 'check', '--slack', '0.01', '-k', 'reference or image_message')
    assert done.returncode == 1
    assert 'test_image_message: found' in done.stdout


def test_a_run_that_times_nothing_fails():
    done = run('--ratios', 'check', '--benchmark-disable')
    assert done.returncode == 1
    assert 'nothing was timed' in done.stdout


def test_every_step_is_written():
    written = json.loads(RATIOS.read_text())
    assert {'test_decode[mono16]', 'test_pairing', 'test_detections_message[300]'} <= set(written)
    assert all(value > 0 for value in written.values())
