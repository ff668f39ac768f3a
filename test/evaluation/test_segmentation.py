"""Segmentation scores by hand, absent classes, ignored pixels, batches against one shot."""

from __future__ import annotations

import json

from hypothesis import given, settings, strategies as st
import numpy as np
from numpy.testing import assert_array_equal
import pytest

from thermal_perception.errors import MetricError
from thermal_perception.evaluation.bootstrap import bootstrap
from thermal_perception.evaluation.figures import parts
from thermal_perception.evaluation.segmentation import (
    confusion_matrix,
    segmentation_metrics,
    SegmentationScorer,
)

NAMES = ('unlabelled', 'car', 'person')


def labels(*rows):
    return np.array(rows, np.uint8)


def test_matrix_has_truth_in_rows_and_prediction_in_columns():
    matrix = confusion_matrix(labels([0, 1, 1, 2]), labels([0, 0, 1, 1]), 3)
    assert_array_equal(matrix, [[1, 1, 0], [0, 1, 1], [0, 0, 0]])


def test_two_classes_by_hand():
    # [[3, 1], [1, 3]]: each 3 of 5.
    metrics = segmentation_metrics(np.array([[3, 1], [1, 3]]), NAMES[:2])
    assert metrics.mIoU == pytest.approx(0.6)
    assert metrics.mean_accuracy == metrics.pixel_accuracy == pytest.approx(0.75)
    assert metrics.pixels == 8


def test_the_background_is_left_out_of_the_second_mean_only():
    metrics = segmentation_metrics(np.array([[6, 2, 0], [1, 3, 0], [0, 0, 4]]), NAMES)
    assert metrics.mIoU == pytest.approx((6 / 9 + 3 / 6 + 1) / 3)
    assert metrics.mIoU_foreground == pytest.approx((3 / 6 + 1) / 2)
    nameless = segmentation_metrics(np.array([[3, 1], [1, 3]]), ('road', 'sky'))
    assert nameless.mIoU_foreground is None


def test_identity_scores_one():
    metrics = segmentation_metrics(np.diag([5, 2, 9]), NAMES)
    assert metrics.mIoU == metrics.mean_accuracy == metrics.pixel_accuracy == 1
    assert metrics.undefined == 0


def test_class_in_neither_is_left_out_and_counted_and_one_only_predicted_scores_zero():
    metrics = segmentation_metrics(np.array([[3, 1, 0], [0, 0, 0], [0, 0, 0]]), NAMES)
    assert metrics.per_class['car'].IoU == 0
    assert metrics.per_class['car'].accuracy is None
    assert metrics.per_class['person'].IoU is None
    assert metrics.mIoU == pytest.approx((3 / 4 + 0) / 2)
    assert metrics.undefined == 1


def test_ignored_pixels_count_nowhere_whatever_was_predicted():
    matrix = confusion_matrix(labels([0, 255, 1]), labels([0, 255, 255]), 3)
    assert_array_equal(matrix, np.diag([1, 0, 0]))


def test_all_ignored_gives_no_figure():
    scorer = SegmentationScorer(NAMES)
    scorer.add('a', labels([0]), labels([255]))
    assert scorer.score().to_json()['mIoU'] is None
    assert SegmentationScorer(NAMES).score().pixel_accuracy is None


def test_pooling_images_differs_from_averaging_them():
    scorer = SegmentationScorer(NAMES[:2])
    scorer.add('a', labels([0, 0, 1, 1]), labels([0, 0, 1, 1]))  # alone: 1
    scorer.add('b', labels([0, 0]), labels([0, 1]))  # alone: (1/2 + 0) / 2
    assert scorer.score().mIoU == pytest.approx((3 / 4 + 2 / 3) / 2)


def random_scorer(seed, names):
    scorer = SegmentationScorer(NAMES)
    for name in names:
        rng = np.random.default_rng((seed, int(name[:5])))
        truth = rng.choice([0, 1, 2, 255], (6, 7), p=[0.5, 0.3, 0.1, 0.1])
        scorer.add(name, rng.integers(0, 3, (6, 7)), truth)
    return scorer


FILES = [f'{n:05d}{"DN"[n % 2]}.png' for n in range(8)]


@settings(deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 8))
def test_merged_parts_equal_one_shot(seed, cut):
    whole = random_scorer(seed, FILES)
    part = random_scorer(seed, FILES[cut:])
    part.merge(random_scorer(seed, FILES[:cut][::-1]))
    assert part.score() == whole.score()
    pairs = []
    for name in FILES:
        rng = np.random.default_rng((seed, int(name[:5])))
        truth = rng.choice([0, 1, 2, 255], (6, 7), p=[0.5, 0.3, 0.1, 0.1])
        pairs.append((rng.integers(0, 3, (6, 7)), truth))
    at_once = confusion_matrix(*(np.concatenate(side) for side in zip(*pairs)), 3)
    assert segmentation_metrics(at_once, NAMES) == whole.score()


def test_day_and_night_are_told_by_the_name():
    by_light = random_scorer(0, FILES).breakdown()
    assert by_light['light', 'day'] == random_scorer(0, FILES[::2]).score()
    assert by_light['light', 'night'] == random_scorer(0, FILES[1::2]).score()


def test_a_table_tells_parts_by_what_is_known_and_draws_what_it_is_told():
    scorer = random_scorer(0, FILES[:4])
    known = {name: {'condition': 'fog' if n else 'night'} for n, name in enumerate(FILES[:4])}
    table = scorer.table(attributes=known, units={name: name[:4] for name in FILES[:4]})
    assert [(p.value, p.images) for p in parts(table)] == [('fog', 3), ('night', 1)]
    assert table.units == ['0000'] * 4


def test_score_is_resampled_from_the_matrices():
    scorer = random_scorer(0, FILES)
    samples = bootstrap(lambda w: np.array([scorer.score(w).mIoU]), 8, resamples=40)
    assert samples.min() < scorer.score().mIoU < samples.max()


def test_json_has_plain_values():
    values = json.loads(json.dumps(random_scorer(0, FILES).score().to_json()))
    assert set(values['per_class']) == set(NAMES)
    assert values['pixels'] == sum(c['pixels'] for c in values['per_class'].values())


def test_unfitting_label_maps_are_refused_by_name():
    scorer = SegmentationScorer(NAMES)
    with pytest.raises(MetricError, match=r'a: prediction is \(1, 2\) and truth \(1, 1\)'):
        scorer.add('a', labels([0, 1]), labels([0]))
    with pytest.raises(MetricError, match=r'a: truth: found labels 0..3, expected 0..2 \(or 255'):
        scorer.add('a', labels([0, 1]), labels([0, 3]))
    with pytest.raises(MetricError, match='prediction: found labels 255..255'):
        scorer.add('a', labels([255]), labels([0]))
    scorer.add('a', labels([0]), labels([0]))
    with pytest.raises(MetricError, match='a: added twice'):
        scorer.add('a', labels([0]), labels([0]))
    with pytest.raises(MetricError, match='a: added twice'):
        scorer.merge(scorer)
    with pytest.raises(MetricError, match="found classes \\('car',\\)"):
        scorer.merge(SegmentationScorer(['car']))
