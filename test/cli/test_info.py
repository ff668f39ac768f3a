"""What `info` shows on a terminal."""

from __future__ import annotations

from dataclasses import replace

from thermal_perception.cli.info import info
from thermal_perception.models.checkpoint import load_checkpoint, save_checkpoint


def test_values_are_shown_beside_names_wider_than_the_terminal(
    tmp_path, checkpoint, capsys, monkeypatch
):
    monkeypatch.setenv('COLUMNS', '80')
    loaded = load_checkpoint(checkpoint)
    path = tmp_path / 'named.safetensors'
    save_checkpoint(path, loaded.state, replace(loaded.info, training={'name' * 30: 'the value'}))
    info(path, 'ignored', None)
    out = capsys.readouterr().out
    assert load_checkpoint(path).fingerprint in out
    assert 'the value' in out
    assert 'namename' in out
