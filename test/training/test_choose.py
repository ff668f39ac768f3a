from __future__ import annotations

import json

import numpy as np
from numpy.testing import assert_allclose
import pytest
from tiny import published

from thermal_perception.models.checkpoint import save_random
from thermal_perception.models.record import CheckpointInfo
from thermal_perception.types import Detections
from training.__main__ import main
from training.choose import count_thresholds, Counted, kept, score_overlaps, truth_of
from training.datasets import DataFolder, DatasetConfig

CLASSES = ('person', 'car')


def boxes(rows, scores, labels):
    return Detections(
        np.array(rows, np.float32).reshape(-1, 4),
        np.array(scores, np.float32),
        np.array(labels, np.int64),
        CLASSES,
        0,
        '',
        (64, 64),
    )


@pytest.fixture
def folder(tmp_path, write):
    image = np.zeros((64, 64), np.uint8)
    scenes = [
        (image, [(0, 0, 20, 20), (40, 40, 60, 60)], [0, 1]),
        (image, [(10, 10, 30, 30)], [0]),
    ]
    write(tmp_path / 'set', scenes, crowd=[(1, (40, 0, 60, 20))])
    return DataFolder(DatasetConfig(str(tmp_path / 'set')), CLASSES)


def found():
    """Return every object once, one of them twice, and one box of nothing."""
    return [
        boxes(
            [(0, 0, 20, 20), (2, 0, 22, 20), (40, 40, 60, 60)],
            [0.9, 0.8, 0.7],
            [0, 0, 1],
        ),
        boxes([(10, 10, 30, 30), (40, 0, 60, 20), (0, 40, 10, 60)], [0.6, 0.5, 0.3], [0, 0, 0]),
    ]


def test_repetitions_cost_precision_until_they_are_left_out(folder):
    # The repeated box overlaps by 18 / 22 = 0.82.
    high, low = score_overlaps(folder, found(), (0.9, 0.8))
    assert low.mAP50 == pytest.approx(1)
    assert high.mAP50 < low.mAP50


def test_thresholds_by_hand(folder):
    rows = count_thresholds(folder, found(), 0.8, (0.25, 0.55, 0.65, 0.95))
    # Three objects; the box on the region to ignore is neither right nor wrong.
    assert rows == [
        Counted(0.25, 3 / 4, 1.0),
        Counted(0.55, 1.0, 1.0),
        Counted(0.65, 1.0, 2 / 3),
        Counted(0.95, 0.0, 0.0),
    ]
    assert rows[2].f1 == pytest.approx(0.8)


def test_regions_to_ignore_are_invisible_objects_of_their_class(folder):
    truth = truth_of(folder.records[1], CLASSES)
    assert truth.labels.tolist() == [0, 0]
    assert truth.scores.tolist() == [1, 0]
    assert_allclose(truth.boxes_xyxy_px[1], [40, 0, 60, 20])


def test_no_more_boxes_are_kept_than_the_robot_publishes():
    many = boxes([(n, 0, n + 1, 1) for n in range(150)], np.linspace(1, 0, 150), [0] * 150)
    assert len(kept(many, 1.0)) == 100
    assert len(kept(many, 0.5)) == 100


def test_command_prints_and_writes_the_figures_of_every_dev_set(tmp_path, coco, capsys):
    weights = tmp_path / 'tiny.safetensors'
    network = published(CLASSES)
    save_random(weights, CheckpointInfo('tiny', 'fusion_detr', network, {}, CLASSES))
    config = tmp_path / 'run.yaml'
    config.write_text(
        f'model: tiny\ntrain: [{{directory: {coco}}}]\ndev: [{{directory: {coco}}}]\n'
    )
    figures = tmp_path / 'figures.json'
    arguments = ['choose', str(weights), '--config', str(config), '--json', str(figures)]
    assert main([*arguments, '--device', 'cpu']) == 0
    text = capsys.readouterr().out
    assert 'set: 4 images' in text
    assert 'suppress_iou' in text.splitlines()[-1]
    content = json.loads(figures.read_text())[str(coco)]
    assert [row['overlap'] for row in content['overlaps']][-1] == 1.0
    assert all(0 <= row['recall'] <= 1 for row in content['thresholds'])


def test_an_experiment_without_dev_cannot_choose(tmp_path, coco, capsys):
    weights = tmp_path / 'tiny.safetensors'
    network = published(CLASSES)
    save_random(weights, CheckpointInfo('tiny', 'fusion_detr', network, {}, CLASSES))
    config = tmp_path / 'run.yaml'
    config.write_text(f'model: tiny\ntrain: [{{directory: {coco}}}]\ndev: []\n')
    assert main(['choose', str(weights), '--config', str(config)]) == 1
    assert 'found no dev with boxes, expected one to choose by' in capsys.readouterr().err
