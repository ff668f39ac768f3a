from __future__ import annotations

import json
import os
from pathlib import Path
import socket
import subprocess
import sys

import pytest
import torch
from torch import nn

from training.distributed import Processes

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name('averaging_run.py')
DEADLINE_S = 240


def free_port():
    with socket.socket() as server:
        server.bind(('127.0.0.1', 0))
        return server.getsockname()[1]


def train(data, output, *, size, accumulate):
    """Start `size` processes on one job and return the logged steps of rank 0."""
    environment = {
        **os.environ,
        'PYTHONPATH': str(ROOT),
        'OMP_NUM_THREADS': '1',
        'MASTER_ADDR': '127.0.0.1',
        'MASTER_PORT': str(free_port()),
        'GLOO_SOCKET_IFNAME': 'lo',
        'WORLD_SIZE': str(size),
    }
    command = [sys.executable, str(SCRIPT), str(data), str(output), str(accumulate)]
    jobs = [
        subprocess.Popen(
            command,
            cwd=ROOT,
            env={**environment, 'RANK': str(rank), 'LOCAL_RANK': str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(size)
    ]
    try:
        for job in jobs:
            text, _ = job.communicate(timeout=DEADLINE_S)
            assert job.returncode == 0, text
    finally:
        for job in jobs:
            job.kill()
    rows = [json.loads(line) for line in (output / 'log.jsonl').read_text().splitlines()]
    return [row for row in rows if 'step' in row]


@pytest.mark.timeout(2 * DEADLINE_S)
def test_two_processes_take_the_steps_of_one_with_the_same_effective_batch(coco, tmp_path):
    two = train(coco, tmp_path / 'two', size=2, accumulate=1)
    one = train(coco, tmp_path / 'one', size=1, accumulate=2)
    assert [row['step'] for row in two] == [row['step'] for row in one] == [0, 1, 2, 3]
    # The norm is that of the averaged gradient; after the first step it also tells that the
    # weights went the same way.
    assert [row['grad_norm'] for row in two] == pytest.approx(
        [row['grad_norm'] for row in one], rel=2e-3
    )
    weights = [
        torch.load(tmp_path / name / 'last.pt', weights_only=True)['model']
        for name in ('two', 'one')
    ]
    for name, value in weights[0].items():
        if value.is_floating_point():
            # Adam turns a rounding error in a tiny gradient into a step of up to the rate.
            assert (value - weights[1][name]).abs().mean() < 1e-5, name


def test_one_process_needs_no_torchrun(monkeypatch):
    monkeypatch.delenv('WORLD_SIZE', raising=False)
    alone = Processes.join('cpu')
    assert (alone.rank, alone.size, alone.leads) == (0, 1, True)
    model = nn.Linear(2, 1)
    alone.average_gradients(model)
    assert model.weight.grad is None
    assert alone.mean(3.0) == 3.0
    alone.wait()
    with alone.leader_first():
        pass
