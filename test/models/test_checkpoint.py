from __future__ import annotations

import dataclasses
import json

import pytest
from safetensors import safe_open
from safetensors.torch import save_file
import torch

from thermal_perception.errors import CheckpointError
from thermal_perception.models.checkpoint import (
    CheckpointInfo,
    fingerprint_of,
    load_checkpoint,
    save_checkpoint,
    save_random,
)

pytestmark = pytest.mark.usefixtures('small_backbones')

CONFIG = {
    'class_names': ['person', 'car'],
    'backbone': 'efficientnet_lite0',
    'd_model': 32,
    'num_heads': 4,
    'ffn_dim': 32,
    'encoder_layers': 0,
    'decoder_layers': 1,
    'num_queries': 3,
}
INFO = CheckpointInfo(
    model='tiny',
    architecture='fusion_detr',
    config=CONFIG,
    preprocess={'short_side': None},
    class_names=('person', 'car'),
    input_size=(64, 96),
    training={'seed': 3},
    metrics={'set': {'mAP50': 0.5}},
    licence='CC-BY-4.0',
)
STATE = {
    'weight': torch.tensor([[1.0, 0.1], [1e-3, -2.0]]),
    'count': torch.tensor([3, 4]),
}


def saved(path, state=None, info=INFO, **options):
    save_checkpoint(path, STATE if state is None else state, info, **options)
    return path


def test_record_and_float32_weights_survive_a_round_trip_exactly(tmp_path):
    loaded = load_checkpoint(saved(tmp_path / 'x.safetensors', dtype=torch.float32))
    assert loaded.info == INFO
    assert loaded.state.keys() == STATE.keys()
    assert all(torch.equal(loaded.state[k], v) for k, v in STATE.items())


def test_shipped_weights_are_stored_in_half_and_loaded_in_single_precision(tmp_path):
    path = saved(tmp_path / 'x.safetensors')
    with safe_open(path, framework='pt') as file:
        assert file.get_tensor('weight').dtype == torch.float16
    state = load_checkpoint(path).state
    assert state['weight'].dtype == torch.float32
    assert torch.equal(state['weight'], STATE['weight'].half().float())
    assert torch.equal(state['count'], STATE['count'])


def test_saving_what_was_loaded_changes_nothing(tmp_path):
    first = load_checkpoint(saved(tmp_path / 'a.safetensors'))
    second = load_checkpoint(saved(tmp_path / 'b.safetensors', first.state, first.info))
    assert second.fingerprint == first.fingerprint
    assert all(torch.equal(second.state[k], v) for k, v in first.state.items())


def test_a_value_beyond_half_precision_keeps_its_tensor_in_single_precision(tmp_path):
    state = {'running_var': torch.tensor([1e6, 0.5]), 'weight': torch.ones(2)}
    path = saved(tmp_path / 'x.safetensors', state)
    assert torch.equal(load_checkpoint(path).state['running_var'], state['running_var'])


@pytest.mark.parametrize('bad', [float('nan'), float('inf')])
def test_weights_that_are_not_finite_are_not_written(tmp_path, bad):
    with pytest.raises(CheckpointError, match="'weight' holds NaN or Inf"):
        saved(tmp_path / 'x.safetensors', {'weight': torch.tensor([1.0, bad])})
    assert list(tmp_path.iterdir()) == []


def test_no_part_file_is_left_and_an_old_file_is_replaced_whole(tmp_path):
    path = saved(tmp_path / 'x.safetensors')
    saved(path, {'weight': torch.ones(5)})
    assert [p.name for p in tmp_path.iterdir()] == ['x.safetensors']
    assert load_checkpoint(path).state.keys() == {'weight'}


@pytest.mark.parametrize(
    'change',
    [
        {'config': {**CONFIG, 'scale': 'dim'}},
        {'preprocess': {'short_side': 800}},
        {'class_names': ('person', 'vehicle')},
    ],
    ids=['config', 'preprocess', 'class names'],
)
def test_fingerprint_changes_with_every_setting_of_the_model(change):
    changed = dataclasses.replace(INFO, **change)
    assert fingerprint_of(STATE, changed) != fingerprint_of(STATE, INFO)


@pytest.mark.parametrize('change', [{'metrics': {}}, {'training': {}}, {'licence': 'x'}], ids=str)
def test_fingerprint_does_not_depend_on_what_is_said_about_the_model(change):
    changed = dataclasses.replace(INFO, **change)
    assert fingerprint_of(STATE, changed) == fingerprint_of(STATE, INFO)


def test_fingerprint_changes_with_one_weight_one_name_or_one_shape():
    weight = STATE['weight']
    nudged = weight.clone()
    nudged[1, 1] += 1e-6
    prints = {
        fingerprint_of({'weight': weight}, INFO),
        fingerprint_of({'weight': nudged}, INFO),
        fingerprint_of({'other': weight}, INFO),
        fingerprint_of({'weight': weight.flatten()}, INFO),
        fingerprint_of({'weight': weight.double()}, INFO),
    }
    assert len(prints) == 5
    assert all(len(p) == 16 and int(p, 16) >= 0 for p in prints)


def test_random_checkpoint_builds_the_model_and_depends_on_its_seed_only(tmp_path):
    paths = [tmp_path / f'{n}.safetensors' for n in range(3)]
    torch.manual_seed(1)
    before = torch.get_rng_state()
    for path, seed in zip(paths, (0, 0, 1)):
        save_random(path, INFO, seed=seed)
    assert torch.equal(torch.get_rng_state(), before)
    prints = [load_checkpoint(p).fingerprint for p in paths]
    assert prints[0] == prints[1] != prints[2]
    model = load_checkpoint(paths[0]).make_model()
    assert not model.training
    with torch.no_grad():
        assert model(torch.rand(1, 1, 64, 64)).logits.shape == (1, 3, 3)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match='no such file, expected a .safetensors'):
        load_checkpoint(tmp_path / 'none.safetensors')


@pytest.mark.parametrize('kept', [0, 4, 40, -1], ids=['empty', 'length', 'header', 'last byte'])
def test_a_truncated_file_is_refused_with_its_path(tmp_path, kept):
    path = saved(tmp_path / 'x.safetensors')
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(CheckpointError, match='x.safetensors: damaged or not safetensors'):
        load_checkpoint(path)


def test_a_pickled_file_is_refused_unread(tmp_path):
    torch.save(STATE, tmp_path / 'x.safetensors')
    with pytest.raises(CheckpointError, match='damaged or not safetensors'):
        load_checkpoint(tmp_path / 'x.safetensors')


def test_foreign_safetensors_are_refused(tmp_path):
    save_file(STATE, tmp_path / 'x.safetensors')
    with pytest.raises(CheckpointError, match='expected a checkpoint written by this package'):
        load_checkpoint(tmp_path / 'x.safetensors')


def with_metadata(path, text):
    save_file(STATE, path, metadata={'thermal_perception': text})
    return path


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        pytest.param('{', 'metadata is not a JSON object', id='broken JSON'),
        pytest.param('[1]', 'metadata is not a JSON object', id='a list'),
        pytest.param('{}', 'found schema version None, this package reads 1', id='no version'),
        pytest.param('{"schema_version": 2}', 'found schema version 2', id='a newer version'),
        pytest.param('{"schema_version": 1}', "missing key 'model'", id='no model'),
        pytest.param('{"schema_version": 1, "modle": "x"}', "did you mean 'model'", id='typo'),
    ],
)
def test_metadata_that_make_no_sense_are_refused(tmp_path, text, message):
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(with_metadata(tmp_path / 'x.safetensors', text))


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        pytest.param({'architecture': 'yolo'}, "found architecture 'yolo'", id='architecture'),
        pytest.param({'config': {**CONFIG, 'd_modle': 1}}, "did you mean 'd_model'", id='typo'),
        pytest.param({'config': {**CONFIG, 'num_queries': 4}}, 'weights do not fit', id='shape'),
    ],
)
def test_weights_that_do_not_fit_their_record_are_refused(tmp_path, change, message):
    save_random(tmp_path / 'good.safetensors', INFO)
    state = load_checkpoint(tmp_path / 'good.safetensors').state
    path = saved(tmp_path / 'x.safetensors', state, dataclasses.replace(INFO, **change))
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(path).make_model()


def test_metadata_are_readable_json_for_other_tools(tmp_path):
    path = saved(tmp_path / 'x.safetensors')
    with safe_open(path, framework='pt') as file:
        record = json.loads(file.metadata()['thermal_perception'])
    assert record['class_names'] == ['person', 'car']
    assert record['licence'] == 'CC-BY-4.0'
