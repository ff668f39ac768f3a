"""Detections written and read again score the same; foreign files are refused by name."""

from __future__ import annotations

import json

import numpy as np
import pytest

from thermal_perception.errors import DatasetError
from thermal_perception.evaluation.coco import CocoScorer
from thermal_perception.evaluation.detections_file import read_detections, write_detections
from thermal_perception.types import Detections

NAMES = ('person', 'car')
TRUTH = {
    'images': [{'id': 3}, {'id': 8}],
    'categories': [{'id': 5, 'name': 'Person'}, {'id': 2, 'name': 'Car'}],
    'annotations': [
        {'image_id': 3, 'category_id': 5, 'bbox': [10, 20, 30, 40]},
        {'image_id': 8, 'category_id': 2, 'bbox': [1, 2, 9, 9]},
    ],
}
ROW = {'image_id': 3, 'category_id': 5, 'bbox': [10, 20, 30, 40], 'score': 0.5}


def test_what_was_written_scores_the_same_when_read(tmp_path):
    scorer, rng = CocoScorer(TRUTH, NAMES), np.random.default_rng(0)
    starts = rng.uniform(0, 20, (6, 2))
    boxes = np.hstack([starts, starts + rng.uniform(5, 40, (6, 2))]).astype(np.float32)
    boxes[2] = [10, 20, 40.3, 60.1]
    scores = np.sort(rng.random(6).astype(np.float32))[::-1]
    found = Detections(boxes, scores, np.array([0, 1, 0, 0, 1, 0]), NAMES, 0, '', (0, 0))
    scorer.add(3, found)
    write_detections(tmp_path / 'found.json', scorer.detections())
    read = read_detections(tmp_path / 'found.json', TRUTH)
    assert read.score() == scorer.score()
    assert 0 < read.score().mAP < 1
    assert read.missing == 1
    assert read.detections() == scorer.detections()


def test_results_in_any_order_are_ranked_by_score(tmp_path):
    rows = [{**ROW, 'bbox': [90, 90, 5, 5], 'score': 0.2}, ROW]
    path = tmp_path / 'found.json'
    path.write_text(json.dumps(rows))
    assert read_detections(path, TRUTH).score().per_class['person'].mAP50 == pytest.approx(1)


def test_no_detection_at_all_is_a_file_too(tmp_path):
    write_detections(tmp_path / 'none.json', [])
    assert read_detections(tmp_path / 'none.json', TRUTH).score().mAP50 == 0


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('{', 'is not JSON'),
        ('{"metrics": {}}', 'is no list of COCO results, expected rows of image_id'),
        ('[{"image_id": 3}]', 'is no list of COCO results'),
        (json.dumps([{**ROW, 'bbox': [1, 2, 3]}]), 'is no list of COCO results'),
        (json.dumps([{**ROW, 'image_id': 4}]), 'image id 4: not in the annotations; were other'),
        (json.dumps([{**ROW, 'category_id': 7}]), 'category 7 is none of the annotations, 5, 2'),
    ],
)
def test_foreign_files_are_refused_by_name(tmp_path, content, message):
    path = tmp_path / 'found.json'
    path.write_text(content)
    with pytest.raises(DatasetError, match=f'found.json: {message}'):
        read_detections(path, TRUTH)


def test_missing_files_and_folders_are_refused_by_name(tmp_path):
    with pytest.raises(DatasetError, match='gone.json: cannot be read'):
        read_detections(tmp_path / 'gone.json', TRUTH)
    with pytest.raises(DatasetError, match='found.json: cannot be written'):
        write_detections(tmp_path / 'gone' / 'found.json', [])
