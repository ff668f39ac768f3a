"""The page about a model that labels pixels: whole, right, and with its pictures."""

from __future__ import annotations

import base64
import json
from types import SimpleNamespace

import cv2
import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
import pytest
from tiny import rgbt

from thermal_perception.class_sets import MFNET
from thermal_perception.evaluation.bootstrap import Interval
from thermal_perception.evaluation.labelled_pairs import open_labelled_pairs
from thermal_perception.evaluation.segmentation import confusion_matrix, segmentation_metrics
from thermal_perception.models.checkpoint import save_random
from thermal_perception.models.record import CheckpointInfo
from thermal_perception.perceive import Perceiver
from thermal_perception.types import Detections, Perception, SegmentationMask
from training.__main__ import main
from training.report.judge_labels import judge_labels, JudgedPair
from training.report.label_charts import iou_chart, pixel_confusion_chart
from training.report.label_pictures import label_examples, paint

NAMES = ('00001D', '00002D', '00003N')


@pytest.fixture
def labelled(tmp_path):
    """Write pairs arranged as MFNet's: a half is car, at night a row of it without a verdict."""
    for kind in ('images', 'labels'):
        (tmp_path / 'mfnet' / kind).mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in NAMES:
        packed = rng.integers(0, 256, (64, 64, 4)).astype(np.uint8)
        cv2.imwrite(str(tmp_path / f'mfnet/images/{name}.png'), packed)
        labels = np.zeros((64, 64), np.uint8)
        labels[:, 32:] = 1
        labels[0, 32:] = 255 if name.endswith('N') else 1
        cv2.imwrite(str(tmp_path / f'mfnet/labels/{name}.png'), labels)
    (tmp_path / 'mfnet/test.txt').write_text('\n'.join(NAMES))
    return tmp_path / 'mfnet'


@pytest.fixture
def run_folder(tmp_path):
    """Return a folder as a run leaves it, with weights that were never trained."""
    run = tmp_path / 'run'
    run.mkdir()
    info = CheckpointInfo(
        'tiny_rgbt', 'rgbt_segmentation', rgbt(MFNET.names), {'pad_multiple': 32}, MFNET.names
    )
    save_random(run / 'best.safetensors', info)
    rows = [{'step': s, 'loss': 3.0 - s, 'ce': 1.0, 'rgb_gate': 0.5} for s in range(3)]
    dev = {'mIoU': 0.2, 'mIoU_foreground': 0.1, 'pixel_accuracy': 0.6, 'others': [{'mIoU': 0.3}]}
    rows.append({'epoch': 1, 'after_step': 2, 'dev': dev})
    (run / 'log.jsonl').write_text(''.join(json.dumps(row) + '\n' for row in rows))
    return run


class Half:
    """Stands in for a model: it takes the lower half for car."""

    info = SimpleNamespace(class_names=MFNET.names)

    def __call__(self, frames, *, wanted):
        labels = np.zeros((64, 64), np.uint8)
        labels[32:] = 1
        nothing = Detections.none(MFNET.names, frames.leader)
        mask = SegmentationMask(labels, MFNET.names, 0, '')
        return Perception(nothing, segmentation=mask, stages_s={'model': 0.002})


def test_a_run_has_one_page_that_says_everything(run_folder, labelled, page_of, capsys):
    arguments = ['--dataset', str(labelled), '--split', 'test', '--resamples', '10']
    assert main(['report', str(run_folder), *arguments]) == 0
    assert 'report.html: mIoU 0.' in capsys.readouterr().out
    page = page_of((run_folder / 'report.html').read_text())
    assert page.tags.count('svg') == 6
    assert page.tags.count('img') == 6  # three pairs, among the best and among the worst
    assert all(a.startswith(('data:image/', '#')) for a in page.addresses)
    for text in (
        'mIoU without the unlabelled class',
        'color_cone',
        'Confusion',
        'light night (1)',
        'Scores on dev',
        'mIoU, set 2',
        'Worst images',
        'Time per image',
        'no verdict',
    ):
        assert text in page.texts
    assert 'rgb_gate' not in page.texts


def test_a_checkpoint_alone_has_a_page_without_intervals(run_folder, labelled, page_of, tmp_path):
    output = tmp_path / 'page.html'
    arguments = ['--dataset', str(labelled), '--split', 'test', '--resamples', '0']
    file = run_folder / 'best.safetensors'
    assert main(['report', str(file), *arguments, '--output', str(output)]) == 0
    texts = page_of(output.read_text()).texts
    assert 'Loss' not in texts
    assert not any('bootstrap' in text for text in texts)


def test_a_judgement_by_hand(labelled):
    found = judge_labels(Half(), open_labelled_pairs(labelled, 'test'), resamples=0)
    # Quarters of 1024 pixels; at night a row of 32 in the upper right one has no verdict.
    assert_array_equal(found.confusion[:2, :2], [[3072, 3072], [3072 - 32, 3072]])
    assert found.metrics.per_class['car'].IoU == pytest.approx(3072 / (3 * 3072 - 32))
    assert [(part.value, part.images) for part in found.parts] == [('day', 2), ('night', 1)]
    by_day, at_night = (part.figures['all']['mIoU_foreground'] for part in found.parts)
    assert by_day == pytest.approx(1 / 3)
    assert at_night == pytest.approx(1024 / (3 * 1024 - 32))
    assert [image.score for image in found.images] == pytest.approx([by_day, by_day, at_night])
    assert found.latency_ms['model']['median'] == pytest.approx(2.0)
    assert found.unit == 'image'


def test_what_is_painted_has_the_colour_of_its_class_and_unknown_is_grey():
    labels = np.array([[0, 1, 255]], np.uint8)
    # Car is (64, 0, 128), made brighter: the square roots of 64 x 255 and 128 x 255.
    assert paint(labels, MFNET.names).tolist() == [[[0, 0, 0], [181, 0, 128], [150, 150, 150]]]


def test_the_best_pairs_have_the_highest_scores_and_empty_ones_are_passed_over(labelled):
    pairs = open_labelled_pairs(labelled, 'test')
    car, empty = np.ones((64, 64), np.uint8), np.zeros((64, 64), np.uint8)
    half = np.repeat([0, 1], 32).astype(np.uint8)[None].repeat(64, 0)

    def judged(pair, labels, truth):
        metrics = segmentation_metrics(confusion_matrix(labels, truth, 9), MFNET.names)
        return JudgedPair(pair, labels, metrics, metrics.mIoU_foreground)

    rows = ((car, half), (half, half), (empty, empty))
    images = [judged(pair, *row) for pair, row in zip(pairs, rows)]
    best, worst = label_examples(images, MFNET.names, 1)
    assert [e.name for e in best] == ['00002D.png']
    assert [e.name for e in worst] == ['00001D.png']
    assert worst[0].caption == 'mean IoU 0.50 (car 0.50)'


def test_an_example_shows_thermal_colour_truth_and_prediction_side_by_side(labelled):
    pair = open_labelled_pairs(labelled, 'test')[0]
    cv2.imwrite(str(pair.rgb), np.full((64, 64, 4), (10, 90, 200, 40), np.uint8))
    labels = np.ones((64, 64), np.uint8)
    metrics = segmentation_metrics(confusion_matrix(labels, labels, 9), MFNET.names)
    ((example,), _) = label_examples([JudgedPair(pair, labels, metrics, 1.0)], MFNET.names)
    data = np.frombuffer(base64.b64decode(example.data_uri.partition(',')[2]), np.uint8)
    picture = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert picture.shape == (290, 4 * 290 + 3 * 4, 3)
    car, colour, nothing = (181, 0, 128), (10, 90, 200), (0, 0, 0)
    # Of the truth, which starts at 2 x 294, the right half is car; all of what was found is.
    seen = [picture[145, x] for x in (145, 439, 588 + 70, 588 + 220, 1027)]
    assert_allclose(seen, [nothing, colour, nothing, car, car], atol=8)


def test_classes_without_an_iou_have_no_bar(page_of):
    svg = iou_chart({'car': 0.25, 'bump': None}, {'car': Interval(0.2, 0.3)})
    texts = page_of(svg).texts
    assert {'car', '0.25'} <= set(texts)
    assert 'bump' not in texts


def test_confusion_is_in_percent_of_the_true_pixels_of_classes_that_occur(page_of):
    matrix = np.array([[6, 2, 0], [0, 0, 0], [0, 0, 0]])
    texts = page_of(pixel_confusion_chart(matrix, ('ground', 'car', 'bump'))).texts
    assert {'75.0', '25.0', 'ground', 'car'} <= set(texts)
    assert 'bump' not in texts


def test_the_model_that_labels_pixels_is_judged_as_it_runs(run_folder, labelled):
    perceiver = Perceiver.load(run_folder / 'best.safetensors', device='cpu')
    pairs = open_labelled_pairs(labelled, 'test')
    found = judge_labels(perceiver, pairs, resamples=0)
    expected = perceiver(pairs[1].frames()).segmentation.labels
    assert_array_equal(found.images[1].labels, expected)
    assert list(found.latency_ms) == ['preprocess', 'model', 'postprocess', 'total']
