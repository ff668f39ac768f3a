"""Confusions counted by hand."""

from __future__ import annotations

import numpy as np

from thermal_perception.evaluation.confusion import confusion_matrix
from thermal_perception.types import Detections

NAMES = ('person', 'car')


def boxes(rows):
    """Return detections of (x1, y1, x2, y2, label) rows."""
    table = np.array(rows, np.float32).reshape(-1, 5)
    scores = np.linspace(0.9, 0.5, len(table), dtype=np.float32)
    labels = table[:, 4].astype(np.int64)
    return Detections(table[:, :4], scores, labels, NAMES, 0, '', (100, 100))


def test_right_wrong_missed_and_invented_boxes_are_told_apart():
    truth = boxes([(0, 0, 10, 10, 0), (20, 0, 30, 10, 0), (40, 0, 50, 10, 1), (60, 0, 70, 10, 1)])
    found = boxes([(0, 0, 10, 10, 0), (20, 0, 30, 10, 1), (40, 0, 50, 9, 1), (0, 50, 10, 60, 0)])
    assert confusion_matrix(found, truth).tolist() == [[1, 1, 0], [0, 1, 1], [1, 0, 0]]


def test_the_better_overlap_makes_the_pair():
    truth = boxes([(0, 0, 10, 10, 0)])
    found = boxes([(0, 0, 10, 7, 1), (0, 0, 10, 9, 0)])  # 0.7 and 0.9
    assert confusion_matrix(found, truth).tolist() == [[1, 0, 0], [0, 0, 0], [0, 1, 0]]


def test_boxes_in_regions_without_a_verdict_are_not_counted():
    found = boxes([(0, 0, 10, 10, 0), (50, 50, 60, 60, 1)])
    region = np.array([[0.0, 0, 10, 6]])
    matrix = confusion_matrix(found, boxes([]), regions_xyxy_px=region)
    assert matrix.tolist() == [[0, 0, 0], [0, 0, 0], [0, 1, 0]]


def test_nothing_found_and_nothing_there():
    assert not confusion_matrix(boxes([]), boxes([])).any()
