"""evaluate of a model of a vehicle and the roadside, end to end on real files."""

from __future__ import annotations

import json

import pytest
from tiny import emiff

from thermal_perception.cli.evaluate import evaluate, EvaluateOptions
from thermal_perception.errors import BackendError, ConfigError, DatasetError
from thermal_perception.models.checkpoint import save_random
from thermal_perception.models.record import CheckpointInfo
from training.simulate_v2x import simulate, V2xOptions

SETTINGS = emiff(
    compression=[{'c': 4, 's': 0}, {'c': 4, 's': 1}, {'c': 4, 's': 2}],
    grid={'low_m': [0, -24, -3.08], 'high_m': [48, 24, 0.76], 'counts': [12, 12, 12]},
    neck_widths=[8, 8, 8],
)


@pytest.fixture(scope='module')
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp('weights') / 'tiny_emiff.safetensors'
    preprocess = {'resize_to': [64, 112], 'pad_multiple': 32}
    save_random(path, CheckpointInfo('tiny', 'emiff', SETTINGS, preprocess, ('car',)))
    return path


@pytest.fixture(scope='module')
def frames(tmp_path_factory):
    path = tmp_path_factory.mktemp('v2x')
    simulate(
        V2xOptions(path, 'val', 'day', 2, frames_per_scene=1, delays=1, seed=3, size=(68, 120))
    )
    return path


@pytest.fixture
def run(tmp_path, weights, frames):
    def run(**options):
        path = tmp_path / 'scores.json'
        values = {'dataset': frames, 'split': 'val', 'checkpoint': weights, **options}
        evaluate(EvaluateOptions(model='emiff', json=path, device='cpu', **values))
        return json.loads(path.read_text())

    return run


def test_json_and_table_hold_every_band(run, capsys):
    values = run(bootstrap=5)
    assert (values['images'], values['level'], values['delay']) == (2, '16x', 0)
    assert set(values['metrics']['by_band']['AP3D_50']) == {'all', '0-30', '30-50', '50-100'}
    assert values['intervals']['unit'] == 'recording'
    assert values['metrics']['AP3D_50'] == values['metrics']['by_band']['AP3D_50']['all']['car']
    assert (values['device'], values['backend']) == ('cpu', 'torch fp32')
    out = capsys.readouterr().out
    assert 'torch fp32 on cpu' in out
    assert '2 frames of val, 16x features' in out
    assert '30-50' in out


@pytest.mark.parametrize(
    ('options', 'told'),
    [
        ({'without': 'infra'}, 'without infra'),
        ({'without': 'ego', 'level': '64x'}, 'without ego, 64x features'),
        ({'delay': 1}, 'roadside 1 images earlier'),
    ],
)
def test_what_was_shown_is_told(run, capsys, options, told):
    run(**options)
    assert told in capsys.readouterr().out


@pytest.mark.slow
def test_a_compiled_network_scores_too(run, capsys):
    pytest.importorskip('openvino', reason='needs OpenVINO')
    values = run(without='infra', backend='openvino', precision='fp32')
    assert values['backend'] == 'openvino fp32'
    assert values['metrics'] == run(without='infra')['metrics']
    assert 'openvino fp32 on cpu' in capsys.readouterr().out


def test_an_artefact_that_lies_elsewhere_is_looked_into(run, tmp_path):
    pytest.importorskip('openvino', reason='needs OpenVINO')
    with pytest.raises(BackendError, match='elsewhere/artefact.json: cannot be read'):
        run(backend='openvino', precision='int8', artefact=tmp_path / 'elsewhere')


@pytest.mark.parametrize(
    ('options', 'error', 'message'),
    [
        ({'without': 'rgb'}, ConfigError, 'found --without rgb, expected ego or infra'),
        ({'level': '5x'}, ConfigError, 'found --level 5x, expected one of 4x, 16x, 64x'),
        ({'delay': 7}, DatasetError, 'at delay 7'),
        ({'split': 'test'}, DatasetError, "found no split 'test'"),
    ],
)
def test_what_cannot_be_is_refused(run, options, error, message):
    with pytest.raises(error, match=message):
        run(**options)
