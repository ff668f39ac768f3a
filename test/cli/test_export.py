"""`export` and what `info` tells of its folder."""

from __future__ import annotations

import json

import pytest
from tiny import lite, small_backbones

from thermal_perception.cli.export import export, ExportOptions
from thermal_perception.cli.info import info
from thermal_perception.errors import BackendError, ConfigError
from thermal_perception.models.checkpoint import CheckpointInfo, load_checkpoint, save_random

NAMES = ('person', 'car')


@pytest.fixture
def checkpoint(tmp_path):
    """Return random weights of a network that is traced quickly."""
    path = tmp_path / 'tiny.safetensors'
    with small_backbones():
        save_random(path, CheckpointInfo('tiny', 'fusion_detr', lite(NAMES), {}, NAMES, (64, 96)))
        yield path


def test_what_was_exported_is_told_and_info_tells_what_it_is(
    checkpoint, tmp_path, capsys, monkeypatch
):
    pytest.importorskip('openvino', reason='needs OpenVINO')
    monkeypatch.setenv('COLUMNS', '80')
    folder, facts = tmp_path / 'tiny.openvino', tmp_path / 'facts.json'
    options = ExportOptions('openvino', checkpoint, output=folder, size=(64, 128))
    export(options)
    out = capsys.readouterr().out
    fingerprint = load_checkpoint(checkpoint).fingerprint
    assert f'tiny ({fingerprint}), 128 x 64 pixels, ' in out
    assert str(folder) in out
    assert '  thermal: detections (opset' in out

    info(folder, 'ignored', facts)
    out = capsys.readouterr().out
    assert fingerprint in out
    assert '1x1x64x128 float32' in out
    values = json.loads(facts.read_text())
    assert values['backend'] == 'openvino'
    assert values['folder_bytes'] == sum(path.stat().st_size for path in folder.iterdir())
    assert list(values['graphs']) == ['thermal: detections']

    with pytest.raises(ConfigError, match='exists already; --force replaces it'):
        export(options)


def test_images_of_another_size_are_refused_where_the_weights_resize_them(
    v2x_checkpoint, tmp_path
):
    pytest.importorskip('openvino', reason='needs OpenVINO')
    options = ExportOptions('openvino', v2x_checkpoint, output=tmp_path / 'x', size=(64, 64))
    with pytest.raises(BackendError, match='--size: found 64 64, but these weights resize'):
        export(options)
    assert list(tmp_path.iterdir()) == []
