"""Alignment by two processes: it is that of one process with the same effective batch."""

from __future__ import annotations

import json
from pathlib import Path

import aligning_run
import pytest
from ranks import DEADLINE_S, started

from training.e2e_mfd import task as joint

SCRIPT = Path(aligning_run.__file__)


def rows_of(output):
    rows = [json.loads(line) for line in (output / 'log.jsonl').read_text().splitlines()]
    return [row for row in rows if 'step' in row]


@pytest.mark.slow
@pytest.mark.timeout(2 * DEADLINE_S)
def test_two_processes_align_the_averaged_gradients(tmp_path, monkeypatch):
    monkeypatch.setattr(joint, 'noised_proposals', aligning_run.same_noise)
    with started(SCRIPT, tmp_path / 'two', 1, processes=2):
        aligning_run.main(tmp_path / 'one', 2)
    two, one = rows_of(tmp_path / 'two'), rows_of(tmp_path / 'one')
    assert [row['step'] for row in two] == [0, 1, 2, 3]
    for name in ('norm_fusion', 'norm_detection', 'k_fusion', 'k_detection', 'cosine'):
        assert name not in two[1]
        assert two[2][name] == pytest.approx(one[2][name], rel=2e-2, abs=2e-3), name
    assert [row['grad_norm'] for row in two] == pytest.approx(
        [row['grad_norm'] for row in one], rel=1e-2
    )
