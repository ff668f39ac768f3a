"""`python -m training sweep`, end to end."""

from __future__ import annotations

import json

import pytest
from tiny import emiff

from thermal_perception.models.checkpoint import save_random
from thermal_perception.models.record import CheckpointInfo
from training.__main__ import main
from training.simulate_v2x import simulate, V2xOptions


@pytest.fixture
def arguments(tmp_path):
    weights = tmp_path / 'tiny.safetensors'
    settings = emiff(
        compression=[{'c': 4, 's': 0}, {'c': 4, 's': 1}],
        grid={'low_m': [0, -24, -3.08], 'high_m': [48, 24, 0.76], 'counts': [12, 12, 12]},
        neck_widths=[8, 8, 8],
    )
    preprocess = {'resize_to': [64, 112], 'pad_multiple': 32}
    save_random(weights, CheckpointInfo('tiny', 'emiff', settings, preprocess, ('car',)))
    data = tmp_path / 'v2x'
    simulate(
        V2xOptions(data, 'val', 'day', 1, frames_per_scene=1, delays=5, seed=3, size=(68, 120))
    )
    return [
        'sweep', str(weights), '--dataset', str(data), '--output', str(tmp_path / 'out'),
        '--bootstrap', '5', '--device', 'cpu',
    ]  # fmt: skip


def test_tables_charts_and_figures_are_written(arguments, tmp_path, capsys):
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert '1 frames of val' in out
    for name in ('vehicle alone', 'roadside alone', 'late fusion', 'EMIFF', 'heading error [deg]'):
        assert name in out
    written = json.loads((tmp_path / 'out' / 'sweep.json').read_text())
    assert set(written['cameras']) == {'ego', 'infra', 'late', 'both'}
    assert [p['value'] for p in written['sweeps']['compression ratio']['both']] == [4, 16]
    assert len(written['sweeps']['roadside image older by [images]']['late']) == 6
    charts = {path.name for path in (tmp_path / 'out').glob('*.svg')}
    assert charts == {
        'compression_ratio.svg', 'position_error.svg', 'heading_error.svg',
        'roadside_image_older_by.svg', 'share_of_messages_lost.svg',
    }  # fmt: skip


def test_a_split_without_older_images_is_refused(arguments, tmp_path, capsys):
    data = tmp_path / 'v2x'
    simulate(
        V2xOptions(data, 'short', 'day', 1, frames_per_scene=1, delays=1, seed=3, size=(68, 120))
    )
    assert main([*arguments, '--split', 'short']) == 1
    assert "found no frame of split 'short'" in capsys.readouterr().err
