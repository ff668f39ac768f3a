"""Oriented average precision by hand, and as one scorer or many."""

from __future__ import annotations

from hypothesis import given, settings, strategies as st
import numpy as np
from numpy.testing import assert_array_equal
import pytest

from thermal_perception.errors import MetricError
from thermal_perception.evaluation.matches import FALSE, FOUND, IGNORED
from thermal_perception.evaluation.oriented import (
    match_best_overlap,
    OrientedBoxes,
    OrientedScorer,
)
from thermal_perception.evaluation.polygons import rotated_corners

NAMES = ('car', 'freight_car')
CAR = [50, 50, 20, 10, 0.5]


def oriented(rows=(), scores=None, labels=None):
    """Return boxes from (cx, cy, w, h, radians); by default cars, each worse than the last."""
    rows = np.array(rows, float).reshape(-1, 5)
    scores = 1 - np.arange(len(rows)) / 10 if scores is None else np.array(scores, float)
    labels = np.zeros(len(rows), int) if labels is None else np.array(labels)
    return OrientedBoxes(rotated_corners(rows), labels, scores)


def scored(found, truth):
    scorer = OrientedScorer(NAMES)
    scorer.add('a', found, truth)
    return scorer.score()


def test_same_box_at_another_angle_is_no_match_for_a_long_object():
    long = [50, 50, 40, 8, 0.0]
    assert scored(oriented([long]), oriented([long])).mAP50 == 1
    # Crossing at right angles: 64 shared of 576.
    assert scored(oriented([[50, 50, 40, 8, np.pi / 2]]), oriented([long])).mAP50 == 0


def test_overlap_of_exactly_the_threshold_is_false():
    half = [50, 50, 20, 5, 0.0]  # half of the object's height: IoU 0.5
    assert scored(oriented([half]), oriented([[50, 50, 20, 10, 0.0]])).mAP50 == 0


def test_both_averages_of_a_short_curve():
    # Two objects; in order false, found: precision 1/2 up to recall 1/2.
    truth = oriented([CAR, [200, 200, 20, 10, 1]])
    metrics = scored(oriented([[300, 300, 20, 10, 0], CAR]), truth)
    assert metrics.mAP50 == pytest.approx(0.25)
    assert metrics.mAP50_voc07 == pytest.approx(6 / 11 / 2)
    assert metrics.boxes == 2


def test_second_box_on_an_object_is_false_even_if_another_object_is_near():
    # VOC holds a box against its best object only; COCO would give it the second one.
    overlaps = np.array([[0.9, 0.0], [0.8, 0.7]])
    assert_array_equal(match_best_overlap(overlaps, np.zeros(2, bool), 0.5), [[FOUND, FALSE]])


def test_difficult_objects_need_not_be_found_and_may_be():
    overlaps = np.array([[0.9], [0.8], [0.1]])
    verdicts = match_best_overlap(overlaps, np.ones(1, bool), 0.5)
    assert_array_equal(verdicts, [[IGNORED, IGNORED, FALSE]])
    metrics = scored(oriented([CAR]), oriented([CAR], scores=[0]))
    assert (metrics.mAP50, metrics.boxes) == (None, 0)


def test_classes_are_scored_apart_and_those_without_objects_left_out():
    metrics = scored(oriented([CAR, CAR], labels=[0, 1]), oriented([CAR]))
    assert metrics.per_class['car'].mAP50 == 1
    assert metrics.per_class['freight_car'].mAP50 is None
    assert metrics.mAP50 == 1
    assert scored(oriented([CAR], labels=[1]), oriented([CAR])).mAP50 == 0


def random_images(seed, number=8):
    rng = np.random.default_rng(seed)
    for n in range(number):
        rows = rng.uniform([0, 0, 10, 10, -2], [200, 200, 50, 50, 2], (rng.integers(0, 6), 5))
        labels = rng.integers(0, 2, len(rows))
        noise = rng.normal(0, [3, 3, 2, 2, 0.1], rows.shape)
        yield (
            str(n),
            oriented(rows + noise, rng.random(len(rows)), labels),
            oriented(rows, rng.random(len(rows)) > 0.1, labels),
        )


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32 - 1), st.integers(0, 8))
def test_merged_parts_equal_one_scorer(seed, cut):
    images = list(random_images(seed))
    whole, first, second = (OrientedScorer(NAMES) for _ in range(3))
    for n, image in enumerate(images):
        whole.add(*image)
        (first if n >= cut else second).add(*image)
    first.merge(second)
    assert first.score() == whole.score()
    assert whole.score(np.ones(8, int)) == whole.score()


def test_weights_equal_repeated_images():
    images, weights = list(random_images(0)), np.array([2, 0, 1, 3, 1, 1, 0, 2])
    whole, repeated = OrientedScorer(NAMES), OrientedScorer(NAMES)
    for n, (name, found, truth) in enumerate(images):
        whole.add(name, found, truth)
        for copy in range(weights[n]):
            repeated.add(f'{name}.{copy}', found, truth)
    assert whole.score(weights).mAP50 == pytest.approx(repeated.score().mAP50)
    assert whole.score(weights).boxes == repeated.score().boxes


def test_repeats_unknown_labels_and_unfitting_arrays_are_refused():
    scorer = OrientedScorer(NAMES)
    scorer.add('a', oriented(), oriented())
    with pytest.raises(MetricError, match='a: added twice'):
        scorer.add('a', oriented(), oriented())
    with pytest.raises(MetricError, match='a: added twice'):
        scorer.merge(scorer)
    with pytest.raises(MetricError, match=r'b: found labels 2..2, expected 0..1'):
        scorer.add('b', oriented([CAR], labels=[2]), oriented())
    with pytest.raises(MetricError, match='at IoU 0.75, expected'):
        scorer.merge(OrientedScorer(NAMES, iou=0.75))
    with pytest.raises(MetricError, match=r'corners \(1, 8\)'):
        OrientedBoxes(np.zeros((1, 8)), np.zeros(1, int), np.zeros(1))
