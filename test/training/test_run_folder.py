"""The files of a run are whole or not there."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch

from training import run_folder
from training.run_folder import RunFolder


def test_a_full_disk_leaves_the_state_before_and_no_part(tmp_path, monkeypatch):
    folder = RunFolder(tmp_path)
    folder.save_state({'step': 1})

    def half_written(content, path):
        path.write_bytes(b'half')
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(torch, 'save', half_written)
    with pytest.raises(OSError, match='No space left'):
        folder.save_state({'step': 2})
    monkeypatch.undo()
    assert folder.load_state(torch.device('cpu')) == {'step': 1}
    assert [p.name for p in tmp_path.iterdir()] == ['last.pt']


_SAVE_AND_DIE = """
import os, signal, sys, torch
from pathlib import Path
from training.run_folder import RunFolder
folder = RunFolder(Path(sys.argv[1]))
folder.save_state({'step': 1})
whole = torch.save
def die_halfway(content, path):
    whole(content, path)
    os.truncate(path, path.stat().st_size // 2)
    os.kill(os.getpid(), signal.SIGKILL)
torch.save = die_halfway
folder.save_state({'step': 2})
"""


def test_a_process_killed_while_saving_leaves_the_state_before(tmp_path):
    died = subprocess.run([sys.executable, '-c', _SAVE_AND_DIE, str(tmp_path)])
    assert died.returncode == -9
    assert (tmp_path / 'last.pt.part').exists()
    folder = RunFolder(tmp_path)
    assert folder.load_state(torch.device('cpu')) == {'step': 1}
    folder.save_state({'step': 3})  # what was left lying about is in nobody's way
    assert folder.load_state(torch.device('cpu')) == {'step': 3}


def test_one_of_many_processes_writes(tmp_path):
    reader = RunFolder(tmp_path / 'run', writes=False)
    reader.log({'step': 0})
    reader.save_state({})
    reader.write_config({})
    reader.cut_log(0)
    assert not (tmp_path / 'run').exists()


def test_curves_are_drawn_where_tensorboard_is_installed(tmp_path, monkeypatch):
    class Writer:
        points = []

        def add_scalar(self, *point):
            self.points.append(point)

        def close(self):
            self.points.append('closed')

    monkeypatch.setattr(run_folder, '_summary_writer', lambda path: Writer())
    folder = RunFolder(tmp_path)
    folder.log({'step': 4, 'loss': 2.0})
    folder.log({'epoch': 1, 'dev': {'mAP50': 0.5}})
    folder.close()
    assert Writer.points == [('loss', 2.0, 4), 'closed']
    assert json.loads((tmp_path / 'log.jsonl').read_text().splitlines()[0])['loss'] == 2.0


def test_without_tensorboard_only_the_log_is_written(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'torch.utils.tensorboard', None)
    folder = RunFolder(tmp_path)
    folder.log({'step': 0, 'loss': 1.0})
    folder.close()
    assert [p.name for p in tmp_path.iterdir()] == ['log.jsonl']


def test_what_must_not_be_lost_is_kept_by_a_process_that_writes_nothing_else(tmp_path):
    folder = RunFolder(tmp_path / 'run', writes=False)
    folder.save({'step': 1}, 'last.pt')
    file = folder.keep({'batches': [1]}, 'nonfinite_1.pt')
    assert torch.load(file, weights_only=True) == {'batches': [1]}
    assert [p.name for p in (tmp_path / 'run').iterdir()] == ['nonfinite_1.pt']
