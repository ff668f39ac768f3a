"""evaluate and info end to end on real files, with a tiny network of random weights."""

from __future__ import annotations

import io
import json
import shutil

from numpy.testing import assert_allclose
import pytest
from rich.console import Console

from thermal_perception.cli.bag_from_images import bag_from_images, BagOptions
from thermal_perception.cli.evaluate import evaluate, EvaluateOptions
from thermal_perception.cli.info import info
from thermal_perception.cli.score_tables import breakdown_table, metrics_table
from thermal_perception.errors import ConfigError, DatasetError
from thermal_perception.evaluation import ClassMetrics
from thermal_perception.evaluation.bootstrap import Interval
from thermal_perception.evaluation.coco import mean_over_classes, read_annotations
from thermal_perception.evaluation.detection_statistics import Slice
from thermal_perception.evaluation.detections_file import read_detections
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
    assert first.pop('latency_ms').keys() == again.pop('latency_ms').keys()
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


def test_table_fits_in_80_columns_without_breaking_the_name_of_a_class():
    row = ClassMetrics(*[1.0] * 10, 1_234_567)
    metrics = mean_over_classes({'other_vehicle': row})
    console = Console(file=io.StringIO(), width=80)
    console.print(metrics_table(metrics, ('other_vehicle',)))
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    rows = [line for line in lines if 'other_vehicle' in line]
    assert [line.split()[-9:] for line in rows] == [
        ['other_vehicle', '1234567', *['100.0'] * 7],
        ['other_vehicle', '0', '-', '-', '-', '-', '-', '-', '-'],
    ]


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


def test_latency_stands_beside_the_accuracy(on_dataset, capsys):
    latency = on_dataset()['latency_ms']
    assert list(latency) == ['preprocess', 'model', 'postprocess', 'total']
    assert 0 < latency['model']['median'] <= latency['total']['p90']
    assert 'latency per image: median' in capsys.readouterr().out


def test_bootstrap_adds_intervals_and_leaves_the_other_values_alone(on_dataset, capsys):
    plain, sure = on_dataset(), on_dataset(bootstrap=20, exclude=('car',))
    assert 'intervals' not in plain
    assert {k: v for k, v in sure['metrics'].items() if k != 'without'} == plain['metrics']
    intervals = sure['intervals']
    assert (intervals['unit'], intervals['resamples'], intervals['seed']) == ('image', 20, 0)
    assert list(intervals['groups']) == [
        'all',
        'person',
        'car',
        'bicycle',
        'other_vehicle',
        'without car',
    ]
    assert intervals['groups']['all']['mAP50'] is None  # two images hold objects
    assert '20 draws of images, seed 0' in capsys.readouterr().out


def test_written_detections_score_as_the_model_did(tmp_path, dataset, on_dataset):
    values = on_dataset(detections=tmp_path / 'found.json')
    annotations = read_annotations(dataset / 'annotations' / 'val.json')
    metrics = read_detections(tmp_path / 'found.json', annotations).score()
    assert metrics.to_json() == values['metrics']


def test_parts_are_told_by_the_names_of_the_images(tmp_path, dataset, checkpoint, capsys):
    named = tmp_path / 'named'
    (named / 'annotations').mkdir(parents=True)
    (named / 'images' / 'val').mkdir(parents=True)
    content = read_annotations(dataset / 'annotations' / 'val.json')
    names = ('0_60_30_0_1.png', '1_60_30_0_2.png', '1_130_30_0_3.png')
    for image, name in zip(content['images'], names):
        source = dataset / 'images' / 'val' / image['file_name']
        (named / 'images' / 'val' / name).write_bytes(source.read_bytes())
        image['file_name'] = name
    (named / 'annotations' / 'val.json').write_text(json.dumps(content))
    values = scored(tmp_path, dataset=named, split='val', checkpoint=checkpoint)
    parts = [(p['attribute'], p['value'], p['images'], p['boxes']) for p in values['breakdown']]
    assert parts == [
        ('light', 'day', 1, 2),
        ('light', 'night', 2, 2),
        ('altitude', '60 m', 2, 4),
        ('altitude', '130 m', 1, 0),
    ]
    assert values['breakdown'][3]['mAP50'] is None
    assert_allclose(values['breakdown'][2]['mAP'], values['metrics']['mAP'])
    assert 'altitude' in capsys.readouterr().out


def test_breakdown_table_names_an_attribute_once_and_shows_intervals_where_they_are_known():
    figures = {'all': {'mAP50': 0.5, 'mAP': None}}
    parts = [
        Slice('light', 'day', 3, 9, figures, {'all': Interval(0.4, 0.625)}),
        Slice('light', 'night', 1, 2, figures, {'all': None}),
    ]
    cells = [list(c.cells) for c in breakdown_table(parts).columns]
    assert [c[0] for c in cells] == ['light', 'day', '3', '9', '50.0', '40.0 to 62.5', '-']
    assert [c[1] for c in cells] == ['', 'night', '1', '2', '50.0', '-', '-']
    assert len(breakdown_table([Slice('light', 'day', 3, 9, figures, {})]).columns) == 6


def test_model_of_two_cameras_sees_the_colour_images_beside(tmp_path, dataset, pair_checkpoint):
    both = tmp_path / 'both'
    shutil.copytree(dataset, both)
    (both / 'rgb').mkdir()
    shutil.copytree(both / 'images' / 'val', both / 'rgb' / 'val')

    def run(folder, **options):
        given = {'dataset': folder, 'split': 'val', 'checkpoint': pair_checkpoint}
        found = tmp_path / 'found.json'
        values = scored(tmp_path, **given, detections=found, **options)
        return values['without'], json.loads(found.read_text())

    results = {camera: run(both, without=camera) for camera in ('', 'rgb', 'thermal')}
    assert [without for without, _ in results.values()] == [None, 'rgb', 'thermal']
    scores = {camera: [row['score'] for row in rows] for camera, (_, rows) in results.items()}
    assert scores[''] != scores['rgb'] != scores['thermal'] != scores['']
    assert results['rgb'] == run(dataset, without='rgb')
    with pytest.raises(DatasetError, match=r'found no rgb/val beside images/val'):
        run(dataset)


def test_cameras_that_cannot_be_hidden_are_refused(tmp_path, dataset, checkpoint, pair_checkpoint):
    alone = EvaluateOptions(dataset=dataset, split='val', checkpoint=checkpoint, without='rgb')
    with pytest.raises(ConfigError, match='--without rgb makes no sense for tiny, which looks at'):
        evaluate(alone)
    with pytest.raises(ConfigError, match='--bag gives thermal images alone, add --without rgb'):
        evaluate(EvaluateOptions(bag=tmp_path, checkpoint=pair_checkpoint))


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'artefact': 'a'}, 'found --artefact a with --backend torch, which takes none'),
        ({'bootstrap': -1}, 'found --bootstrap -1, expected 0 or more'),
        ({'bag': 'b', 'dataset': None, 'detections': 'f'}, '--detections is for data sets'),
    ],
)
def test_options_that_make_no_sense_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        EvaluateOptions(**{'dataset': 'd', 'split': 'val', **options})
