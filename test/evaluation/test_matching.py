"""Precision and recall by hand-made scenes."""

from __future__ import annotations

import numpy as np
import pytest

from thermal_perception.evaluation.matching import (
    box_iou,
    count_matches,
    match_boxes,
    MatchCount,
    MatchingRules,
)
from thermal_perception.types import Detections

NAMES = ('person', 'car')


def boxes(rows, class_names=NAMES):
    """Build detections from (x1, y1, x2, y2, score, label) rows."""
    table = np.asarray(rows, np.float32).reshape(-1, 6)
    return Detections(
        table[:, :4],
        table[:, 4],
        table[:, 5].astype(np.int64),
        class_names,
        0,
        'thermal',
        (512, 640),
    )


def test_one_found_one_missed_one_false():
    truth = boxes([(0, 0, 20, 40, 1, 0), (100, 0, 140, 30, 1, 1)])
    found = boxes([(0, 0, 20, 38, 0.9, 0), (300, 300, 320, 340, 0.8, 0)])
    count = count_matches(found, truth)
    assert count == MatchCount(found=1, missed=1, false=1)
    assert count.precision == count.recall == 0.5


def test_second_box_on_the_same_object_is_false():
    truth = boxes([(0, 0, 20, 40, 1, 0)])
    found = boxes([(0, 0, 20, 38, 0.8, 0), (0, 0, 20, 40, 0.9, 0)])
    assert count_matches(found, truth) == MatchCount(found=1, false=1)


def test_right_place_but_wrong_class_is_missed_and_false():
    truth = boxes([(0, 0, 20, 40, 1, 0)])
    assert count_matches(boxes([(0, 0, 20, 40, 1, 1)]), truth) == MatchCount(missed=1, false=1)


def test_classes_are_compared_by_name_not_by_number():
    truth = boxes([(0, 0, 20, 40, 1, 0)], class_names=('car', 'person'))
    assert count_matches(boxes([(0, 0, 20, 40, 1, 1)]), truth) == MatchCount(found=1)


@pytest.mark.parametrize(
    'row', [(0, 0, 20, 40, 0.49, 0), (0, 0, 20, 7.9, 1, 0)], ids=['hidden', 'too small']
)
def test_hidden_or_tiny_object_is_neither_required_nor_false(row):
    found = boxes([(*row[:4], 0.9, 0)])
    assert count_matches(found, boxes([row])) == MatchCount(ignored=1)
    assert count_matches(boxes([]), boxes([row])) == MatchCount()


@pytest.mark.parametrize(
    'row', [(0, 0, 20, 40, 0.5, 0), (0, 0, 20, 8, 1, 0)], ids=['half visible', '8 px high']
)
def test_object_at_the_limit_is_required(row):
    assert count_matches(boxes([]), boxes([row])) == MatchCount(missed=1)


def test_iou_of_exactly_one_half_matches_and_less_does_not():
    truth = boxes([(0, 0, 20, 40, 1, 0)])
    assert count_matches(boxes([(0, 0, 20, 20, 1, 0)]), truth).found == 1
    assert count_matches(boxes([(0, 0, 20, 19, 1, 0)]), truth).found == 0
    assert count_matches(boxes([(0, 0, 20, 19, 1, 0)]), truth, MatchingRules(iou=0.4)).found == 1


def test_box_between_two_objects_takes_the_nearer_one():
    truth = boxes([(0, 0, 20, 40, 1, 0), (4, 0, 24, 40, 1, 0)])
    found = boxes([(3, 0, 23, 40, 0.9, 0), (0, 0, 20, 40, 0.8, 0)])
    assert count_matches(found, truth) == MatchCount(found=2)


def test_required_object_is_preferred_over_a_hidden_one():
    truth = boxes([(0, 0, 20, 40, 0.1, 0), (1, 0, 21, 40, 1, 0)])
    assert count_matches(boxes([(0, 0, 20, 40, 0.9, 0)]), truth) == MatchCount(found=1)


def test_matching_tells_which_box_met_which_object():
    truth = boxes([(0, 0, 20, 40, 1, 0), (100, 0, 120, 40, 1, 0), (200, 0, 220, 40, 1, 0)])
    found = boxes(
        [(200, 0, 220, 40, 0.5, 0), (50, 50, 70, 90, 0.9, 0), (0, 0, 20, 40, 0.7, 0)]
    )
    matching = match_boxes(found, truth)
    assert matching.partner.tolist() == [2, -1, 0]
    assert matching.false.tolist() == [False, True, False]
    assert matching.missed.tolist() == [False, True, False]


def test_counts_of_nothing_have_no_rates_and_counts_add_up():
    assert MatchCount().precision is None
    assert MatchCount().recall is None
    assert MatchCount(1, 2, 3, 4) + MatchCount(10, 20, 30, 40) == MatchCount(11, 22, 33, 44)


def test_iou_of_empty_degenerate_and_apart_boxes_is_zero_without_warning():
    line = np.array([[0, 0, 0, 10.0]])
    with np.errstate(all='raise'):
        assert box_iou(line, line).item() == 0
        assert box_iou(line, np.zeros((0, 4))).shape == (1, 0)
        assert box_iou(np.array([[0, 0, 1, 1.0]]), np.array([[2, 2, 3, 3.0]])).item() == 0
