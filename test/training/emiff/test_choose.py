"""What EMIFF's overlap and threshold are chosen by."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tiny import small_backbones
import torch
import yaml

from thermal_perception.evaluation.boxes_3d import overlaps_bev
from thermal_perception.evaluation.matching import MatchCount
from thermal_perception.models.checkpoint import Checkpoint, save_checkpoint
from thermal_perception.types import Boxes3D
from training.__main__ import main
from training.config import training_config
from training.emiff.choose import count_near, count_thresholds, score_overlaps
from training.emiff.data import dev_frames


def boxes(*places, scores=None, labels=None):
    count = len(places)
    return Boxes3D(
        np.array([(x, y, 0.0) for x, y in places]).reshape(-1, 3),
        np.ones((count, 3)),
        np.zeros(count),
        np.array(scores or [1.0] * count, np.float32),
        np.array(labels or [0] * count, np.int64),
        ('car', 'person'),
        np.full(count, -1),
        0,
        'lidar',
    )


def test_each_object_is_found_once_by_the_best_box():
    truth = boxes((10, 0), (20, 0), (30, 0))
    found = boxes((10.5, 0), (11, 0), (21.9, 0), (32.1, 0), scores=[0.5, 0.9, 0.8, 0.7])
    # Of the two beside the first object the better one has it; the last is 2.1 m away.
    assert count_near(found, truth) == MatchCount(2, 1, 2)
    assert count_near(found, boxes()) == MatchCount(0, 0, 4)
    assert count_near(boxes(), truth) == MatchCount(0, 3, 0)


def test_classes_do_not_mix_and_thresholds_leave_out():
    truth = boxes((10, 0), (20, 0), labels=[0, 1])
    found = boxes((10, 0), (20, 0), scores=[0.6, 0.3], labels=[0, 0])
    rows = count_thresholds([found, found], [truth, truth], (0.2, 0.5))
    assert rows == [(0.2, MatchCount(2, 2, 2)), (0.5, MatchCount(2, 2, 0))]


@pytest.fixture
def run(v2x, tiny_emiff, tmp_path):
    """Return the file of an experiment, and a checkpoint of random weights."""
    model, info = tiny_emiff()
    torch.nn.init.zeros_(model.vehicle.head.classify.bias)  # it finds as much as it may
    save_checkpoint(tmp_path / 'tiny.safetensors', model.state_dict(), info)
    source = {'directory': v2x.name, 'layout': 'dair', 'split': 'dev'}
    settings = {'model': 'emiff_lite', 'train': [source], 'dev': [source], 'epochs': 1}
    (tmp_path / 'run.yaml').write_text(yaml.safe_dump(settings))
    return tmp_path / 'run.yaml', Checkpoint(info, model.state_dict(), 'tiny', tmp_path)


def most_overlap(found):
    return max(np.triu(overlaps_bev(boxes, boxes), 1).max() for boxes in found if len(boxes) > 1)


def test_boxes_overlap_as_much_as_they_may_and_the_best_is_kept(run, v2x):
    file, checkpoint = run
    frames = dev_frames(training_config(file, []), v2x.parent)
    with small_backbones():
        (one,), few = score_overlaps(checkpoint, frames, (0.01,), device='cpu')
        (other,), many = score_overlaps(checkpoint, frames, (0.9,), device='cpu')
        rows, best = score_overlaps(checkpoint, frames, (0.01, 0.9), device='cpu')
    assert most_overlap(few) <= 0.01 < most_overlap(many) <= 0.9
    assert rows == [one, other]
    expected = many if other.AP3D >= one.AP3D else few
    assert most_overlap(best) == most_overlap(expected)


def test_command_prints_both_and_writes_them(run, v2x, tmp_path, capsys):
    file, _ = run
    arguments = ['--config', str(file), '--data', str(v2x.parent), '--device', 'cpu']
    with small_backbones():
        path = tmp_path / 'chosen.json'
        main(['choose', str(tmp_path / 'tiny.safetensors'), *arguments, '--json', str(path)])
    printed = capsys.readouterr().out
    assert '2 frames, both cameras' in printed
    assert 'nms_iou ' in printed and ', score_threshold ' in printed
    content = json.loads(path.read_text())
    assert [row['overlap'] for row in content['overlaps']] == [0.01, 0.05, 0.1, 0.2, 0.3]
    assert len(content['thresholds']) == 11
