"""The record of a checkpoint, read without its weights and without PyTorch."""

from __future__ import annotations

import subprocess
import sys

import pytest
from tiny import lite

from thermal_perception.errors import CheckpointError
from thermal_perception.models.checkpoint import load_checkpoint, save_random
from thermal_perception.models.record import CheckpointInfo, read_record


@pytest.fixture
def path(tmp_path):
    path = tmp_path / 'tiny.safetensors'
    names = ('person', 'car')
    save_random(path, CheckpointInfo('tiny', 'fusion_detr', lite(names), {}, names))
    return path


def test_record_is_that_of_the_whole_checkpoint(path):
    assert read_record(path) == load_checkpoint(path).info


def test_torch_is_not_imported(path):
    code = (
        'import sys, pathlib; from thermal_perception.models.record import read_record; '
        'print(read_record(pathlib.Path(sys.argv[1])).architecture, "torch" in sys.modules)'
    )
    done = subprocess.run(
        [sys.executable, '-c', code, path], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ['fusion_detr', 'False']


def test_damaged_file_is_named(path):
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CheckpointError, match='tiny.safetensors: damaged or not safetensors'):
        read_record(path)
