"""Releasing weights: facts and metrics travel inside the file, and must belong to it."""

from __future__ import annotations

import argparse
from dataclasses import replace
import json
from pathlib import Path
from typing import Any

import pytest
from tiny import emiff, emiff_checkpoint
import torch

from thermal_perception.errors import CheckpointError, ConfigError
from thermal_perception.models.checkpoint import load_checkpoint, save_checkpoint, save_random
from thermal_perception.models.record import CheckpointInfo
from training import release

MODEL = {
    'class_names': ['person'],
    'backbone': 'efficientnet_lite0',
    'd_model': 32,
    'ffn_dim': 16,
    'encoder_layers': 0,
    'decoder_layers': 1,
    'num_queries': 4,
}
FACTS = """
summary: A network for tests.
data: Drawn by hand.
training: None at all.
limits: Everything.
licence: Apache-2.0
attribution: nobody
"""


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    path = tmp_path / 'best.safetensors'
    save_random(path, CheckpointInfo('tiny', 'fusion_detr', MODEL, {}, ('person',)))
    return path


def released(tmp_path: Path, trained: Path, *options: str, facts: str = FACTS) -> Path:
    (tmp_path / 'facts.yaml').write_text(facts)
    parser = argparse.ArgumentParser()
    release.add_arguments(parser)
    output = tmp_path / 'tiny.safetensors'
    arguments = [str(trained), '--facts', str(tmp_path / 'facts.yaml'), *options]
    release.run(parser.parse_args([*arguments, '--output', str(output)]))
    return output


def write_result(tmp_path: Path, fingerprint: str) -> Path:
    metrics: dict[str, Any] = {'mAP50': 0.625, 'mAP': None, 'per_class': {'person': {}}}
    path = tmp_path / 'result.json'
    path.write_text(json.dumps({'fingerprint': fingerprint, 'images': 7, 'metrics': metrics}))
    return path


def test_the_mean_of_two_stages_can_be_released(tmp_path: Path, trained: Path):
    other = tmp_path / 'other.safetensors'
    save_random(other, load_checkpoint(trained).info, seed=5)
    mean = load_checkpoint(released(tmp_path, trained, '--average', str(other)))
    states = [load_checkpoint(path).state for path in (trained, other)]
    for name, value in mean.state.items():
        expected = (states[0][name].double() + states[1][name].double()) / 2
        torch.testing.assert_close(value.double(), expected, rtol=1e-3, atol=1e-4)
    assert any(not torch.equal(states[0][n], states[1][n]) for n in mean.state)


def test_weights_of_different_models_have_no_mean(tmp_path: Path, trained: Path):
    other = tmp_path / 'other.safetensors'
    save_random(other, replace(load_checkpoint(trained).info, model='wide'))
    with pytest.raises(
        CheckpointError, match='other.safetensors: found model wide, expected tiny'
    ):
        released(tmp_path, trained, '--average', str(other))


def test_release_keeps_the_fingerprint_and_adds_the_record(tmp_path: Path, trained: Path):
    fingerprint = load_checkpoint(trained).fingerprint
    result = write_result(tmp_path, fingerprint)

    checkpoint = load_checkpoint(
        released(tmp_path, trained, '--metrics', f'val={result}', '--score-threshold', '0.35')
    )

    assert checkpoint.fingerprint == fingerprint
    assert checkpoint.info.metrics['val']['mAP50'] == 0.625
    assert checkpoint.info.training['data'] == 'Drawn by hand.'
    assert checkpoint.info.licence == 'Apache-2.0; nobody'
    assert checkpoint.info.score_threshold == 0.35


def test_release_names_data_sets_without_the_folders_of_a_machine(tmp_path: Path):
    path = tmp_path / 'best.safetensors'
    sources = {'train': [{'directory': '/data/mine/hit_uav'}, {'directory': 'sim/road'}]}
    record = {'config': {**sources, 'dev': [], 'epochs': 3}, 'torch': '2'}
    info = CheckpointInfo('tiny', 'fusion_detr', MODEL, {}, ('person',), training=record)
    save_random(path, info)
    training = load_checkpoint(released(tmp_path, path)).info.training
    names = [source['directory'] for source in training['config']['train']]
    assert names == ['hit_uav', 'sim/road']
    assert (training['config']['epochs'], training['torch']) == (3, '2')


def test_card_shows_the_results_and_a_dash_where_there_is_none(tmp_path: Path, trained: Path):
    result = write_result(tmp_path, load_checkpoint(trained).fingerprint)

    card = released(tmp_path, trained, '--metrics', f'val={result}').with_suffix('.md').read_text()

    assert '| val | 7 | 0.625 | – | – | – | – | – | – |' in card
    assert load_checkpoint(trained).fingerprint in card


def test_the_card_of_a_model_that_labels_pixels_shows_its_own_figures(
    tmp_path: Path, trained: Path
):
    metrics = {'mIoU': 0.5, 'mIoU_foreground': 0.25, 'mean_accuracy': 0.75, 'pixel_accuracy': 1.0}
    content = {
        'fingerprint': load_checkpoint(trained).fingerprint,
        'images': 7,
        'metrics': {**metrics, 'per_class': {'car': {'IoU': 0.125}, 'bump': {'IoU': None}}},
    }
    (tmp_path / 'result.json').write_text(json.dumps(content))
    result = f'night={tmp_path / "result.json"}'

    card = released(tmp_path, trained, '--metrics', result).with_suffix('.md').read_text()

    assert '| pixel_accuracy | bump IoU | car IoU |' in card
    assert '| night | 7 | 0.500 | 0.250 | 0.750 | 1.000 | – | 0.125 |' in card


def test_card_of_a_model_of_two_tasks_has_a_table_for_each(tmp_path: Path, trained: Path):
    fingerprint = load_checkpoint(released(tmp_path, trained)).fingerprint
    boxes = write_result(tmp_path, fingerprint)
    fused = tmp_path / 'fused.json'
    figures = {'VIF': 0.875, 'Qabf': 0.5, 'EN': None, 'images': 3}
    fused.write_text(json.dumps({'fingerprint': fingerprint, 'images': 3, 'metrics': figures}))
    metrics = ['--metrics', f'pairs={fused}', '--metrics', f'streets={boxes}']
    card = released(tmp_path, trained, *metrics).with_suffix('.md').read_text()
    tables = card.split('## Results')[1].strip().split('\n\n')
    assert [table.split('|')[3].strip() for table in tables] == ['mAP50', 'VIF']
    assert '| streets | 7 | 0.625 |' in tables[0]
    assert '| pairs | 3 | 0.875 | 0.500 | – | – |' in tables[1]


def test_card_of_a_model_of_vehicle_and_roadside_shows_boxes_in_space(
    tmp_path: Path, trained: Path
):
    content = {
        'fingerprint': load_checkpoint(trained).fingerprint,
        'images': 120,
        'metrics': {'AP3D_50': 0.25, 'APBEV_50': 0.375, 'AP3D_70': None, 'by_band': {}},
    }
    (tmp_path / 'result.json').write_text(json.dumps(content))
    result = f'crossings={tmp_path / "result.json"}'

    card = released(tmp_path, trained, '--metrics', result).with_suffix('.md').read_text()

    assert '| crossings | 120 | 0.250 | 0.375 | – | – | – | – |' in card


def test_results_of_other_weights_are_refused(tmp_path: Path, trained: Path):
    result = write_result(tmp_path, '0123456789abcdef')

    with pytest.raises(ConfigError, match="fingerprint '0123456789abcdef', expected"):
        released(tmp_path, trained, '--metrics', f'val={result}')


def test_missing_fact_is_named(tmp_path: Path, trained: Path):
    with pytest.raises(ConfigError, match='missing licence, attribution'):
        released(tmp_path, trained, facts=FACTS.partition('licence')[0])


def test_release_with_another_overlap_is_another_model(tmp_path: Path, trained: Path):
    fingerprint = load_checkpoint(trained).fingerprint
    path = released(tmp_path, trained, '--suppress-iou', '0.6')
    checkpoint = load_checkpoint(path)
    assert checkpoint.info.suppress_iou == 0.6
    assert checkpoint.fingerprint != fingerprint
    assert '| overlap that makes a box a repetition | 0.6 |' in path.with_suffix('.md').read_text()

    result = write_result(tmp_path, checkpoint.fingerprint)
    again = released(tmp_path, trained, '--suppress-iou', '0.6', '--metrics', f'val={result}')
    assert load_checkpoint(again).fingerprint == checkpoint.fingerprint
    stale = write_result(tmp_path, fingerprint)
    with pytest.raises(ConfigError, match=f'expected {checkpoint.fingerprint!r}'):
        released(tmp_path, trained, '--suppress-iou', '0.6', '--metrics', f'val={stale}')


def test_boxes_in_space_overlap_as_seen_from_above(tmp_path: Path):
    with emiff_checkpoint(emiff(), (64, 96)) as checkpoint:
        save_checkpoint(tmp_path / 'emiff.safetensors', checkpoint.state, checkpoint.info)
    path = released(tmp_path, tmp_path / 'emiff.safetensors', '--suppress-iou', '0.1')
    info = load_checkpoint(path).info
    assert (info.config['nms_iou'], info.suppress_iou) == (0.1, 1.0)
    assert '| overlap that makes a box a repetition | 0.1 |' in path.with_suffix('.md').read_text()


@pytest.mark.parametrize('overlap', ['0', '60', '-0.5'])
def test_what_is_no_overlap_is_refused(tmp_path: Path, trained: Path, overlap: str):
    with pytest.raises(ConfigError, match=r'suppress_iou: found .*, expected in \(0, 1\]'):
        released(tmp_path, trained, f'--suppress-iou={overlap}')
