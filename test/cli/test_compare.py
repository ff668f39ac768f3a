"""compare on files of detections: verdicts, the JSON file, refusals."""

from __future__ import annotations

import json

import numpy as np
import pytest

from thermal_perception.cli.compare import compare, CompareOptions
from thermal_perception.errors import ConfigError, DatasetError

IMAGES = 30


@pytest.fixture
def runs(tmp_path):
    """Return a data set, exact boxes for it, and the same with a third of them moved away."""
    (tmp_path / 'annotations').mkdir()
    rng, truth, good, bad = np.random.default_rng(0), [], [], []
    for image in range(IMAGES):
        for n in range(4):
            box = [*rng.uniform(0, 300, 2).tolist(), 30.0, 40.0]
            row = {'image_id': image, 'category_id': 1 + n % 2, 'bbox': box}
            truth.append(row)
            good.append({**row, 'score': float(rng.random())})
            moved = [box[0] + 25 * (rng.random() < 0.33), *box[1:]]
            bad.append({**good[-1], 'bbox': moved})
    content = {
        'images': [{'id': n, 'file_name': f'{n}.png'} for n in range(IMAGES)],
        'categories': [{'id': 1, 'name': 'Person'}, {'id': 2, 'name': 'Car'}],
        'annotations': truth,
    }
    (tmp_path / 'annotations' / 'val.json').write_text(json.dumps(content))
    for name, rows in (('good', good), ('bad', bad), ('empty', [])):
        (tmp_path / f'{name}.json').write_text(json.dumps(rows))
    return tmp_path


def compared(runs, first, second, **options):
    values = {'dataset': runs, 'split': 'val', 'json': runs / 'out.json', 'bootstrap': 100}
    compare(CompareOptions(runs / first, runs / second, **{**values, **options}))
    return json.loads((runs / 'out.json').read_text())


def test_worse_run_is_called_worse_with_interval_and_p_value(runs, capsys):
    values = compared(runs, 'good.json', 'bad.json')
    one = values['groups']['all']['mAP50']
    assert one['a'] == pytest.approx(1)
    assert one['difference'] == pytest.approx(one['b'] - one['a'])
    assert one['interval'][0] <= one['difference'] <= one['interval'][1] < 0
    assert one['real']
    assert one['p_value'] == pytest.approx(2 / 101)
    assert (values['images'], values['unit'], values['resamples']) == (IMAGES, 'image', 100)
    assert list(values['groups']) == ['all', 'person', 'car']
    out = capsys.readouterr().out
    assert 'B is worse: -' in out
    assert 'p = 0.020' in out


def test_better_run_is_called_better_and_a_run_is_no_better_than_itself(runs, capsys):
    compared(runs, 'bad.json', 'good.json')
    assert 'B is better: +' in capsys.readouterr().out
    assert not compared(runs, 'bad.json', 'bad.json')['groups']['all']['mAP']['real']
    assert 'no real difference shown: +0.0 points of mAP50' in capsys.readouterr().out


def test_run_without_any_box_is_a_run_too(runs):
    values = compared(runs, 'good.json', 'empty.json', exclude=('car',))
    assert values['groups']['without car']['mAP50']['b'] == 0


def test_scenes_are_drawn_where_the_data_set_names_them(runs, capsys):
    path = runs / 'annotations' / 'val.json'
    content = json.loads(path.read_text())
    for image in content['images']:
        image['scene_seed'] = image['id'] // 5
    path.write_text(json.dumps(content))
    assert compared(runs, 'good.json', 'bad.json')['unit'] == 'scene'
    assert '100 draws of scenes' in capsys.readouterr().out


def test_what_cannot_be_compared_is_refused(runs):
    with pytest.raises(DatasetError, match='gone.json: cannot be read'):
        compared(runs, 'good.json', 'gone.json')
    with pytest.raises(DatasetError, match='test.json: cannot be read'):
        compared(runs, 'good.json', 'bad.json', split='test')
    with pytest.raises(ConfigError, match='--exclude-class truck: the data set has person, car'):
        compared(runs, 'good.json', 'bad.json', exclude=('truck',))
    with pytest.raises(ConfigError, match='found --bootstrap 0, expected 1 or more'):
        compared(runs, 'good.json', 'bad.json', bootstrap=0)
