"""Matching and curves against hand-worked numbers and slow loops; weights as repeated images."""

from __future__ import annotations

from hypothesis import given, settings, strategies as st
import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
import pytest

from thermal_perception.evaluation.matches import (
    all_point_average,
    coco_average,
    FALSE,
    FOUND,
    IGNORED,
    ImageMatches,
    match_greedily,
    overlaps_xywh,
    Ranking,
    voc07_average,
)

HALF = np.array([0.5])


def boxes(*rows):
    return np.array(rows, float).reshape(-1, 4)


def image(objects, *found):
    """Return matches at one threshold from (score, verdict) pairs."""
    scores = np.array([score for score, _ in found], float)
    return ImageMatches(scores, np.array([[v for _, v in found]], np.int8), objects)


def test_overlap_of_half_covered_boxes_is_a_third():
    # 10 x 10 boxes shifted by 5: 50 shared, 150 in the union.
    assert_allclose(overlaps_xywh(boxes([0, 0, 10, 10]), boxes([5, 0, 10, 10])), [[1 / 3]])


def test_overlap_with_a_region_is_the_covered_part_of_the_box():
    region = boxes([5, 0, 100, 100])
    assert_allclose(overlaps_xywh(boxes([0, 0, 10, 10]), region, of_boxes=True), [[0.5]])


def test_boxes_without_area_overlap_nothing():
    flat = boxes([3, 3, 0, 5])
    assert_array_equal(overlaps_xywh(flat, flat), [[0.0]])


def test_second_box_on_the_same_object_is_false():
    verdicts = match_greedily(np.array([[0.9], [0.95]]), np.zeros(2), HALF)
    assert_array_equal(verdicts, [[FOUND, FALSE]])


def test_box_takes_the_next_best_object_when_the_best_is_taken():
    overlaps = np.array([[0.9, 0.6], [0.8, 0.7]])
    assert_array_equal(match_greedily(overlaps, np.zeros(2), HALF), [[FOUND, FOUND]])
    assert_array_equal(match_greedily(overlaps, np.zeros(2), np.array([0.75])), [[FOUND, FALSE]])


def test_region_takes_any_number_of_boxes_but_only_those_without_an_object():
    overlaps, regions = np.array([[0.8], [0.0], [0.0]]), np.array([1.0, 0.6, 0.5])
    assert_array_equal(match_greedily(overlaps, regions, HALF), [[FOUND, IGNORED, IGNORED]])


def test_images_without_objects_or_boxes_match_nothing():
    assert_array_equal(match_greedily(np.zeros((2, 0)), np.zeros(2), HALF), [[FALSE, FALSE]])
    assert match_greedily(np.zeros((0, 3)), np.zeros(0), HALF).shape == (1, 0)


def slow_match(overlaps, regions, threshold):
    free, verdicts = set(range(overlaps.shape[1])), []
    for row, region in zip(overlaps, regions):
        best, best_overlap = None, threshold
        for g in sorted(free):
            if row[g] >= best_overlap:
                best, best_overlap = g, row[g]
        if best is not None:
            free.remove(best)
        verdicts.append(FOUND if best is not None else IGNORED if region >= threshold else FALSE)
    return verdicts


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 6), st.integers(0, 5))
def test_matching_equals_the_loop_of_the_coco_protocol(seed, detections, objects):
    rng = np.random.default_rng(seed)
    overlaps = rng.integers(0, 11, (detections, objects)) / 10  # many ties
    regions = rng.integers(0, 11, detections) / 10
    thresholds = np.array([0.3, 0.5, 0.8])
    expected = [slow_match(overlaps, regions, t) for t in thresholds]
    assert_array_equal(
        match_greedily(overlaps, regions, thresholds), np.reshape(expected, (3, detections))
    )


def test_ranking_leaves_ignored_boxes_out_and_keeps_the_order_of_images_for_equal_scores():
    ranking = Ranking.of(
        [image(1, (0.9, FALSE), (0.5, FOUND)), image(2, (0.9, FOUND), (0.7, IGNORED))]
    )
    assert_array_equal(ranking.images, [0, 1, 0])
    assert_array_equal(ranking.found, [1, 2])
    assert_array_equal(ranking.objects, [1, 2])


def test_curve_counts_from_the_best_box_down():
    # In order: found, false, found; three objects.
    ranking = Ranking.of([image(3, (0.9, FOUND), (0.8, FALSE), (0.7, FOUND))])
    recall, precision = ranking.curve()
    assert_allclose(recall, [1 / 3, 2 / 3])
    assert_allclose(precision, [1, 2 / 3])


def test_curve_without_objects_is_unknown_and_without_boxes_is_empty():
    assert Ranking.of([image(0, (0.9, FALSE))]).curve() is None
    assert Ranking.of([]).curve() is None
    recall, precision = Ranking.of([image(2)]).curve()
    assert len(recall) == len(precision) == 0
    assert coco_average(recall, precision) == all_point_average(recall, precision) == 0


def test_averages_of_one_curve_by_hand():
    recall, precision = np.array([0.25, 0.5]), np.array([0.5, 1.0])
    # The interpolated precision is 1 up to recall 0.5, and 0 beyond.
    assert all_point_average(recall, precision) == pytest.approx(0.5)
    assert coco_average(recall, precision) == pytest.approx(51 / 101)
    assert voc07_average(recall, precision) == pytest.approx(6 / 11)


verdicts = st.lists(st.sampled_from([IGNORED, FALSE, FOUND]), max_size=5)
matches = st.lists(
    st.tuples(st.integers(0, 3), verdicts, st.integers(0, 3)), min_size=1, max_size=6
)


def random_images(rows):
    """Return images whose boxes all have different scores, and how often each image counts."""
    scores = iter(np.random.default_rng(0).permutation(sum(len(found) for _, found, _ in rows)))
    images = []
    for spare, found, _ in rows:
        best_first = sorted((next(scores) for _ in found), reverse=True)
        images.append(image(spare + found.count(FOUND), *zip(best_first, found)))
    return images, np.array([weight for *_, weight in rows])


@given(matches)
def test_weights_equal_repeated_images(rows):
    images, weights = random_images(rows)
    repeated = [m for m, w in zip(images, weights) for _ in range(w)]
    curve, expected = Ranking.of(images).curve(weights), Ranking.of(repeated).curve()
    if expected is None:
        assert curve is None
        return
    for average in (coco_average, voc07_average, all_point_average):
        assert average(*curve) == pytest.approx(average(*expected), abs=1e-12)


@given(matches)
def test_selected_images_equal_a_ranking_of_them_alone(rows):
    images, weights = random_images(rows)
    kept = weights > 0
    selected = Ranking.of(images).select(kept)
    expected = Ranking.of([m for m, k in zip(images, kept) if k])
    assert_array_equal(selected.images, expected.images)
    assert_array_equal(selected.found, expected.found)
    assert_array_equal(selected.objects, expected.objects)
