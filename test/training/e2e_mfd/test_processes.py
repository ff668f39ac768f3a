from __future__ import annotations

import json
import os
from pathlib import Path
import subprocess
import sys

import pytest

ROOT = Path(__file__).parents[3]
SCRIPT = Path(__file__).with_name('joint_run.py')
DEADLINE_S = 240


def train(output, *, size, accumulate):
    """Start `size` processes on one job and return the logged steps of rank 0."""
    command = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--no-python']
    command += ['--nproc-per-node', str(size)]
    command += [sys.executable, str(SCRIPT), str(output), str(accumulate)]
    environment = {**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'}
    subprocess.run(command, cwd=ROOT, env=environment, check=True, timeout=DEADLINE_S)
    rows = [json.loads(line) for line in (output / 'log.jsonl').read_text().splitlines()]
    return [row for row in rows if 'step' in row]


@pytest.mark.timeout(2 * DEADLINE_S)
def test_two_processes_align_the_averaged_gradients(tmp_path):
    two = train(tmp_path / 'two', size=2, accumulate=1)
    one = train(tmp_path / 'one', size=1, accumulate=2)
    assert [row['step'] for row in two] == [0, 1, 2, 3]
    for name in ('norm_fusion', 'norm_detection', 'k_fusion', 'k_detection', 'cosine'):
        assert name not in two[1]
        assert two[2][name] == pytest.approx(one[2][name], rel=2e-2, abs=2e-3), name
    assert [row['grad_norm'] for row in two] == pytest.approx(
        [row['grad_norm'] for row in one], rel=1e-2
    )
