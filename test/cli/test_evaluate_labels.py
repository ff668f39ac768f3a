"""evaluate of a model that labels pixels, end to end on real files."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from tiny import rgbt

from thermal_perception.class_sets import MFNET
from thermal_perception.cli.compare_labels import compare_labels, CompareLabelsOptions
from thermal_perception.cli.evaluate import evaluate, EvaluateOptions
from thermal_perception.errors import ConfigError
from thermal_perception.models.checkpoint import save_random
from thermal_perception.models.record import CheckpointInfo


@pytest.fixture(scope='module')
def labelling(tmp_path_factory):
    """Return a file with random weights of a tiny network that labels pixels."""
    path = tmp_path_factory.mktemp('weights') / 'tiny_rgbt.safetensors'
    info = CheckpointInfo(
        'tiny_rgbt', 'rgbt_segmentation', rgbt(MFNET.names), {'pad_multiple': 32}, MFNET.names
    )
    save_random(path, info)
    return path


@pytest.fixture(scope='module')
def labelled(tmp_path_factory):
    """Return pairs arranged as MFNet's, two by day and one at night."""
    root = tmp_path_factory.mktemp('mfnet')
    rng = np.random.default_rng(0)
    names = ('00001D', '00002D', '00003N')
    for kind in ('images', 'labels'):
        (root / kind).mkdir()
    for name in names:
        packed = rng.integers(0, 256, (64, 64, 4)).astype(np.uint8)
        cv2.imwrite(str(root / 'images' / f'{name}.png'), packed)
        labels = rng.integers(0, 3, (64, 64)).astype(np.uint8)
        cv2.imwrite(str(root / 'labels' / f'{name}.png'), labels)
    (root / 'test.txt').write_text('\n'.join(names))
    return root


@pytest.fixture
def run(tmp_path, labelling, labelled):
    def run(**options):
        path = tmp_path / 'scores.json'
        values = {'dataset': labelled, 'split': 'test', 'checkpoint': labelling, **options}
        evaluate(EvaluateOptions(json=path, device='cpu', **values))
        return json.loads(path.read_text())

    return run


def test_json_and_tables_hold_both_means_every_class_and_the_light(run, capsys):
    values = run(bootstrap=5)
    metrics = values['metrics']
    assert 0 <= metrics['mIoU'] <= 1
    assert 0 <= metrics['mIoU_foreground'] <= 1
    assert list(metrics['per_class']) == list(MFNET.names)
    assert metrics['pixels'] == 3 * 64 * 64
    assert [(p['value'], p['images']) for p in values['breakdown']] == [('day', 2), ('night', 1)]
    assert values['intervals']['unit'] == 'image'
    assert (values['model'], values['images'], values['split']) == ('tiny_rgbt', 3, 'test')
    assert values['latency_ms']['total']['median'] > 0
    printed = capsys.readouterr().out
    assert '3 pairs of test' in printed
    assert 'mIoU without the background' in printed
    assert max(map(len, printed.splitlines())) <= 80


def test_a_missing_camera_changes_the_result(run):
    assert run(without='rgb')['metrics'] != run()['metrics']


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'exclude': ('car',)}, '--exclude-class is for models that find boxes'),
        ({'without': 'lidar'}, 'found --without lidar, expected thermal or rgb'),
    ],
)
def test_options_that_do_not_fit_are_refused(run, options, message):
    with pytest.raises(ConfigError, match=message):
        run(**options)


def test_results_with_and_without_a_camera_can_be_compared(run, tmp_path, capsys):
    for name, options in (('both', {}), ('thermal', {'without': 'rgb'})):
        (tmp_path / f'{name}.json').write_text(json.dumps(run(**options)))
    capsys.readouterr()
    output = tmp_path / 'compared.json'
    files = (tmp_path / f'{name}.json' for name in ('thermal', 'both'))
    compare_labels(CompareLabelsOptions(*files, output, bootstrap=20))
    values = json.loads(output.read_text())
    assert {'all', 'car', 'light day', 'light night'} <= values['groups'].keys()
    assert (values['images'], values['unit']) == (3, 'image')
    printed = capsys.readouterr().out
    assert 'paired percentile bootstrap, 20 draws of images' in printed
    table = [line for line in printed.splitlines() if not line.startswith(('A ', 'B '))]
    assert max(map(len, table)) <= 80


def test_a_comparison_without_draws_is_refused(tmp_path):
    with pytest.raises(ConfigError, match='found --bootstrap 0, expected 1 or more'):
        CompareLabelsOptions(tmp_path / 'a', tmp_path / 'b', bootstrap=0)
