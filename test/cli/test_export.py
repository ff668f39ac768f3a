"""`export` and what `info` tells of its folder."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from tiny import lite, small_backbones

from thermal_perception.cli.evaluate import evaluate, EvaluateOptions
from thermal_perception.cli.export import export, ExportOptions
from thermal_perception.cli.info import info
from thermal_perception.errors import BackendError, ConfigError, DatasetError
from thermal_perception.models.checkpoint import CheckpointInfo, load_checkpoint, save_random

NAMES = ('person', 'car', 'bicycle', 'other_vehicle')


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
    options = ExportOptions('openvino', checkpoint, output=folder, size=(64, 128), cameras=2)
    export(options)
    out = capsys.readouterr().out
    fingerprint = load_checkpoint(checkpoint).fingerprint
    assert f'tiny ({fingerprint}), fp32, 128 x 64 pixels, ' in out
    assert str(folder) in out
    assert '  thermal: detections (opset' in out
    assert '  thermal: detections, 2 together (opset' in out

    info(folder, 'ignored', facts)
    out = capsys.readouterr().out
    assert fingerprint in out
    assert '2x1x64x128 float32' in out
    values = json.loads(facts.read_text())
    assert values['backend'] == 'openvino'
    assert values['folder_bytes'] == sum(path.stat().st_size for path in folder.iterdir())
    assert values['together'] == 2
    assert list(values['graphs']) == ['thermal: detections', 'thermal: detections, 2 together']

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


def test_images_together_are_refused_where_vehicle_and_roadside_have_one_each(
    v2x_checkpoint, tmp_path
):
    pytest.importorskip('openvino', reason='needs OpenVINO')
    options = ExportOptions('openvino', v2x_checkpoint, output=tmp_path / 'x', cameras=3)
    with pytest.raises(BackendError, match='--cameras: found 3, expected 1: vehicle and roadside'):
        export(options)
    assert list(tmp_path.iterdir()) == []


def test_int8_is_calibrated_by_a_folder_of_images_and_scored_where_it_lies(
    checkpoint, dataset, tmp_path, capsys, monkeypatch
):
    pytest.importorskip('onnxruntime', reason='needs ONNX Runtime')
    pytest.importorskip('onnxscript', reason='needs ONNX Script')
    monkeypatch.setenv('COLUMNS', '80')
    for number in range(3):
        image = np.random.default_rng(number).integers(255, size=(64, 96)).astype(np.uint8)
        cv2.imwrite(str(tmp_path / f'{number}.png'), image)
    options = ExportOptions(
        'onnx', checkpoint, precision='int8', calibrate=tmp_path, images=2, output=tmp_path / 'x'
    )
    export(options)
    out = capsys.readouterr().out
    assert ', int8, 96 x 64 pixels, ' in out
    assert 'floating point: ' in out
    assert '; calibrated by 2 images' in out

    facts = tmp_path / 'facts.json'
    info(tmp_path / 'x', 'ignored', facts)
    values = json.loads(facts.read_text())
    assert (values['precision'], values['calibration']) == ('int8', 2)
    assert set(values['graphs']['thermal: detections']['int8']) == {'Conv'}

    scores = tmp_path / 'scores.json'
    evaluate(
        EvaluateOptions(
            dataset, 'val', checkpoint=checkpoint, device='cpu', backend='onnxruntime',
            precision='int8', artefact=tmp_path / 'x', json=scores,
        )
    )  # fmt: skip
    values = json.loads(scores.read_text())
    assert (values['backend'], values['images']) == ('onnxruntime int8', 3)


def test_int8_without_images_is_refused(checkpoint, tmp_path):
    (tmp_path / 'empty').mkdir()
    with pytest.raises(DatasetError, match='holds no image'):
        export(ExportOptions('onnx', checkpoint, precision='int8', calibrate=tmp_path / 'empty'))


@pytest.mark.parametrize(
    ('options', 'text'),
    [
        ({'precision': 'int8'}, '--precision int8 and --calibrate DIR, .* need each other'),
        ({'calibrate': Path('images')}, '--precision int8 and --calibrate DIR, .* need each'),
        ({'precision': 'bf16'}, 'found --precision bf16, expected fp32 or int8'),
    ],
    ids=['no images', 'images for nothing', 'what a node rounds itself'],
)
def test_options_that_contradict_each_other_are_refused(options, text):
    with pytest.raises(ConfigError, match=text):
        ExportOptions('onnx', **options)


def test_int8_of_a_vehicle_and_the_roadside_is_refused(v2x_checkpoint, tmp_path):
    pytest.importorskip('onnxruntime', reason='needs ONNX Runtime')
    pytest.importorskip('onnxscript', reason='needs ONNX Script')
    cv2.imwrite(str(tmp_path / '0.png'), np.zeros((72, 128), np.uint8))
    options = ExportOptions('onnx', v2x_checkpoint, precision='int8', calibrate=tmp_path)
    with pytest.raises(BackendError, match='int8, which there is not for a vehicle and the road'):
        export(options)
