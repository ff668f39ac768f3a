"""The page about a run: whole, self-contained, and right."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from tiny import lite

from thermal_perception.errors import ConfigError
from thermal_perception.evaluation.matching import Matching
from thermal_perception.models.build import make_model
from thermal_perception.models.checkpoint import save_checkpoint
from thermal_perception.models.record import CheckpointInfo
from thermal_perception.types import Detections
from training.__main__ import main
from training.report.charts import dev_chart, loss_chart
from training.report.command import find_weights
from training.report.history import History, smooth
from training.report.judge import JudgedImage
from training.report.pictures import _draw, examples

CLASSES = ('person', 'car')


@pytest.fixture
def run_folder(tmp_path):
    """Return a folder as a run leaves it, with weights that were never trained."""
    run = tmp_path / 'run'
    run.mkdir()
    network = lite(CLASSES)
    info = CheckpointInfo('tiny <model>', 'fusion_detr', network, {}, CLASSES, score_threshold=0.0)
    save_checkpoint(
        run / 'best.safetensors', make_model('fusion_detr', network, where='t').state_dict(), info
    )
    rows = [{'step': s, 'loss': 10.0 - s, 'class': 4.0, 'l1': 6.0 - s} for s in range(4)]
    rows.append({'epoch': 1, 'after_step': 3, 'dev': {'mAP50': 0.5, 'mAP': 0.3, 'mAP75': None}})
    rows.append(
        {'epoch': 1, 'after_step': 3, 'images_per_s': 2.5, 'model_share': 0.9, 'data_share': 0.02}
    )
    (run / 'log.jsonl').write_text(''.join(json.dumps(row) + '\n' for row in rows))
    (run / 'config.yaml').write_text('model: tiny\nnote: "<script>alert(1)</script>"\n')
    return run


def test_the_page_of_a_run_needs_nothing_beside_it_and_says_everything(
    run_folder, coco, capsys, page_of
):
    arguments = ['--dataset', str(coco), '--split', 'train', '--resamples', '20']
    assert main(['report', str(run_folder), *arguments]) == 0
    assert 'report.html: mAP50 0.' in capsys.readouterr().out
    text = (run_folder / 'report.html').read_text()
    page = page_of(text)
    assert page.tags.count('svg') >= 6
    assert page.tags.count('img') == 8  # four images, once among the best, once among the worst
    assert all(a.startswith(('data:image/', '#')) for a in page.addresses)
    assert 'script' not in page.tags
    for title in ('Precision and recall', 'Confusion', 'Loss', 'Scores on dev', 'Worst images'):
        assert title in page.texts
    assert '2.5' in page.texts
    assert 'tiny <model> on set train' in page.texts  # escaped in the source
    assert '<model>' not in text


def test_a_checkpoint_alone_has_a_page_too(run_folder, coco, tmp_path, page_of):
    arguments = ['--dataset', str(coco), '--split', 'train', '--resamples', '0']
    output = tmp_path / 'page.html'
    file = run_folder / 'best.safetensors'
    assert main(['report', str(file), *arguments, '--output', str(output)]) == 0
    texts = page_of(output.read_text()).texts
    assert 'Loss' not in texts
    assert 'Confusion' in texts


def test_parts_are_charted_where_the_names_of_the_images_tell(
    run_folder, write, scenes, tmp_path, page_of
):
    names = [f'{n % 2}_{60 + 10 * (n // 2)}_30_0_{n:05}.png' for n in range(4)]
    data = write(tmp_path / 'flights', scenes, names=names)
    arguments = ['--dataset', str(data), '--split', 'train', '--resamples', '20']
    assert main(['report', str(run_folder), *arguments]) == 0
    texts = page_of((run_folder / 'report.html').read_text()).texts
    assert 'Light, altitude, condition' in texts
    for label in ('light day (2)', 'light night (2)', 'altitude 60 m (2)', 'altitude 70 m (2)'):
        assert label in texts


def test_the_chart_of_the_loss_leaves_times_and_rates_out(page_of):
    steps = np.arange(30)
    named = ('loss', 'giou', 's', 'data_s', 'lr', 'grad_norm', 'alpha_0', 'w_1')
    history = History(steps, {name: np.ones(30) for name in named}, (), ())
    texts = page_of(loss_chart(history)).texts
    assert {'loss', 'giou'} <= set(texts)
    assert not {'s', 'data_s', 'lr', 'grad_norm', 'alpha_0', 'w_1'} & set(texts)


def test_the_chart_of_dev_starts_at_step_zero_and_shows_every_set(page_of):
    metrics = {'mAP50': 0.5, 'mAP': 0.3, 'mAP75': None, 'others': [{'mAP50': 0.4}]}
    history = History(np.arange(10), {}, ((9, metrics),), ())
    texts = page_of(dev_chart(history, ('mAP50', 'mAP', 'mAP75'))).texts
    assert 'mAP50, set 2' in texts
    assert '0' in texts


def test_weights_are_the_best_then_the_last(tmp_path):
    with pytest.raises(ConfigError, match=r'found no best or last\.safetensors'):
        find_weights(tmp_path, None)
    (tmp_path / 'last.safetensors').touch()
    assert find_weights(tmp_path, None).name == 'last.safetensors'
    (tmp_path / 'best.safetensors').touch()
    assert find_weights(tmp_path, None).name == 'best.safetensors'
    assert find_weights(tmp_path, 'last').name == 'last.safetensors'
    with pytest.raises(ConfigError, match=r'found no best\.safetensors'):
        find_weights(tmp_path / 'last', 'best')


def test_a_missing_log_is_said(tmp_path):
    with pytest.raises(ConfigError, match=r'log\.jsonl: expected the log of a run'):
        History.read(tmp_path)


def test_the_log_becomes_columns(run_folder):
    history = History.read(run_folder)
    assert history.steps.tolist() == [0, 1, 2, 3]
    assert history.terms['loss'].tolist() == [10, 9, 8, 7]
    assert history.dev[0][0] == 3


def test_an_evaluation_without_its_step_belongs_to_the_step_before(tmp_path):
    rows = [{'step': 6, 'loss': 1.0}, {'epoch': 1, 'dev': {'mAP50': 0.5}}, {'step': 7}]
    (tmp_path / 'log.jsonl').write_text(''.join(json.dumps(row) + '\n' for row in rows))
    assert History.read(tmp_path).dev == ((6, {'mAP50': 0.5}),)


def test_the_running_mean_by_hand():
    assert smooth(np.array([0.0, 3.0, 6.0, 9.0]), 3).tolist() == [1.5, 3.0, 6.0, 7.5]


def judged(path, found, missed, false, box=(0, 0, 4, 4)):
    """An image on which so many boxes and objects met, all of them in one place."""

    def same(number):
        return Detections(
            np.tile(np.array(box, np.float32), (number, 1)),
            np.ones(number, np.float32),
            np.zeros(number, int),
            CLASSES,
            0,
            '',
            (8, 8),
        )

    partner = np.array([*range(found), *[-1] * false], int)
    required = np.ones(found + missed, bool)
    matching = Matching(partner, np.zeros(found + false, bool), required)
    none = np.zeros((0, 4), np.float32)
    return JudgedImage(path, same(found + missed), none, same(found + false), matching, None)


def test_examples_are_ranked_by_how_well_boxes_and_objects_met(coco):
    files = sorted((coco / 'images/train').iterdir())
    counts = [(3, 1, 0), (5, 0, 0), (0, 4, 2), (0, 0, 0)]
    images = [judged(f, *c) for f, c in zip(files, counts)]
    assert [i.f1 for i in images] == pytest.approx([6 / 7, 1.0, 0.0, 1.0])
    best, worst = examples(images, 2)
    assert [e.name for e in best] == [files[1].name, files[0].name]
    assert [e.name for e in worst] == [files[2].name, files[0].name]
    assert worst[0].caption == '0 found, 4 missed, 2 false'


def test_frames_beside_a_chosen_one_are_no_further_example(coco):
    file = next((coco / 'images/train').iterdir())
    copies = [shutil.copy(file, file.with_name(f'{n:02}.png')) for n in range(16)]
    images = [judged(copy, 0, 30 - n, 0) for n, copy in enumerate(copies)]
    _, worst = examples(images, 2)  # of 16, at least three apart
    assert [e.caption for e in worst] == [f'0 found, {n} missed, 0 false' for n in (30, 27)]


@pytest.mark.parametrize(
    ('counts', 'colour'),
    [
        ((1, 0, 0), (230, 200, 120)),
        ((0, 1, 0), (120, 220, 90)),
        ((0, 0, 1), (60, 120, 255)),
    ],
)
def test_boxes_of_an_example_have_the_colour_of_their_fate(coco, counts, colour):
    file = next((coco / 'images/train').iterdir())
    picture = _draw(np.zeros((64, 80), np.uint8), judged(file, *counts, box=(20, 30, 50, 50)))
    line = picture[30 * 7, 35 * 7]  # 560 pixels for 80
    assert line.tolist() == pytest.approx(colour, rel=0.12)  # smoothed against black
