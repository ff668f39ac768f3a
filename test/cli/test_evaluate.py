"""evaluate and info end to end on real files, with a tiny network of random weights."""

from __future__ import annotations

import json

import pytest

from thermal_perception.cli.bag_from_images import bag_from_images, BagOptions
from thermal_perception.cli.evaluate import evaluate, EvaluateOptions, metrics_table
from thermal_perception.cli.info import info
from thermal_perception.errors import ConfigError, DatasetError
from thermal_perception.evaluation import ClassMetrics
from thermal_perception.evaluation.coco import mean_over_classes
from thermal_perception.perceive import Perceiver


def scored(tmp_path, **options):
    path = tmp_path / 'scores.json'
    evaluate(EvaluateOptions(json=path, device='cpu', **options))
    return json.loads(path.read_text())


@pytest.fixture
def on_dataset(tmp_path, dataset, checkpoint):
    def run(**options):
        return scored(tmp_path, dataset=dataset, split='val', checkpoint=checkpoint, **options)

    return run


def test_json_has_what_scripts_rely_on(on_dataset, checkpoint):
    values = on_dataset()
    info_ = Perceiver.load(checkpoint, device='cpu').info
    assert values['model'] == 'tiny'
    assert values['parameters'] == info_.parameters
    assert isinstance(values['parameters'], int)
    assert values['fingerprint'] == info_.fingerprint
    assert values['images'] == 3
    metrics = values['metrics']
    for name in ('mAP', 'mAP50', 'mAP75', 'mAP_medium'):
        assert 0 <= metrics[name] <= 1
    assert metrics['mAP_large'] is None  # no object is that large
    assert list(metrics['per_class']) == ['person', 'car', 'bicycle', 'other_vehicle']
    assert metrics['per_class']['person']['boxes'] == 2


def test_bag_of_the_same_images_scores_the_same(tmp_path, dataset, checkpoint, on_dataset):
    bag_from_images(
        BagOptions(
            folder=dataset / 'images' / 'val',
            output=tmp_path / 'bag',
            annotations=dataset / 'annotations' / 'val.json',
        )
    )
    from_bag = scored(tmp_path, bag=tmp_path / 'bag', checkpoint=checkpoint)
    assert from_bag['metrics'] == on_dataset()['metrics']
    assert from_bag['images'] == 3


def test_16_bit_path_is_scored_on_counts_and_repeats_for_a_seed(on_dataset):
    first, again, other = on_dataset(bits=16), on_dataset(bits=16), on_dataset(bits=16, seed=1)
    assert first == again
    assert (first['bits'], first['seed'], other['seed']) == (16, 0, 1)


def test_excluded_class_gives_a_second_mean(on_dataset):
    without = on_dataset(exclude=('other_vehicle',))['metrics']['without']
    assert without['classes'] == ['other_vehicle']
    assert 'mAP50' in without
    with pytest.raises(ConfigError, match='--exclude-class truck: the model has person, car'):
        on_dataset(exclude=('truck',))


def test_table_shows_per_cent_and_a_dash_for_what_is_unknown(capsys):
    row = ClassMetrics(0.1234, 0.5, None, 0.25, None, 1.0, None, None, None, 0.9, 7)
    metrics = mean_over_classes({'person': row, 'car': ClassMetrics(*[None] * 10, 0)})
    table = metrics_table(metrics, ('car',))
    assert [c.header for c in table.columns][:5] == ['class', 'objects', 'mAP', 'mAP50', 'mAP75']
    cells = [list(c.cells) for c in table.columns]
    assert [c[0] for c in cells] == [
        'person',
        '7',
        '12.3',
        '50.0',
        '-',
        '25.0',
        '-',
        '100.0',
        '90.0',
    ]
    assert [c[1] for c in cells][2:] == ['-'] * 7
    assert [c[3] for c in cells][:2] == ['without car', '7']


def test_unknown_split_is_named(tmp_path, dataset, checkpoint):
    with pytest.raises(DatasetError, match=r'annotations/test.json: cannot be read'):
        scored(tmp_path, dataset=dataset, split='test', checkpoint=checkpoint)


def test_info_prints_the_record_and_writes_it(tmp_path, checkpoint, capsys):
    info(checkpoint, 'ignored', tmp_path / 'info.json')
    values = json.loads((tmp_path / 'info.json').read_text())
    loaded = Perceiver.load(checkpoint, device='cpu').info
    assert values['fingerprint'] == loaded.fingerprint
    assert values['parameters'] == loaded.parameters
    assert values['class_names'] == ['person', 'car', 'bicycle', 'other_vehicle']
    assert values['file_bytes'] == checkpoint.stat().st_size
    out = capsys.readouterr().out
    for text in (loaded.fingerprint, 'person, car, bicycle, other_vehicle', 'Apache-2.0'):
        assert text in out


def test_fusion_csv_has_a_row_per_image_whose_weights_sum_to_one(tmp_path, on_dataset):
    on_dataset(fusion_csv=tmp_path / 'fusion.csv')
    header, *rows = (tmp_path / 'fusion.csv').read_text().splitlines()
    assert header == 'image,a8,a16,a32,a64,entropy'
    assert len(rows) == 3
    for row in rows:
        assert sum(map(float, row.split(',')[1:5])) == pytest.approx(1, abs=1e-5)
