"""Training by two processes equals training by one with the same effective batch."""

from __future__ import annotations

import json
from pathlib import Path
import subprocess
import sys

import averaging_run
import pytest
from ranks import DEADLINE_S, ROOT, started
import torch

SCRIPT = Path(averaging_run.__file__)


def rows_of(output):
    rows = [json.loads(line) for line in (output / 'log.jsonl').read_text().splitlines()]
    return [row for row in rows if 'step' in row]


@pytest.mark.timeout(2 * DEADLINE_S)
def test_two_processes_take_the_steps_of_one_with_the_same_effective_batch(coco, tmp_path):
    with started(SCRIPT, coco, tmp_path / 'two', 1, processes=2):
        averaging_run.main(coco, tmp_path / 'one', 2)
    two, one = rows_of(tmp_path / 'two'), rows_of(tmp_path / 'one')
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


@pytest.mark.timeout(2 * DEADLINE_S)
def test_fit_starts_its_second_process_itself(coco, tmp_path):
    config = tmp_path / 'run.yaml'
    config.write_text(
        'model: fusion_detr_lite\n'
        f'train: [{{directory: {coco}, split: train}}]\n'
        'dev: []\nepochs: 1\nbatch: 1\nthreads: 1\n'
        'augment: {crop_size: [64, 64]}\n'
        'optimiser: {warmup_steps: 0}\n'
    )
    output = tmp_path / 'run'
    command = [sys.executable, '-m', 'training', 'fit', '--config', str(config)]
    command += ['--output', str(output), '--device', 'cpu', '--devices', '2']
    subprocess.run(command, cwd=ROOT, check=True, timeout=DEADLINE_S)
    # Four images of which each of two processes takes one a step.
    assert [row['step'] for row in rows_of(output)] == [0, 1]
    assert (output / 'last.safetensors').is_file()
