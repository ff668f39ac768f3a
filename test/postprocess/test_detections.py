from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose
import pytest
import torch

from thermal_perception.postprocess import top_detections
from thermal_perception.postprocess.detections import _first_of_each, class_scores

NAMES = ('person', 'car')
BOX = [0.5, 0.5, 0.2, 0.4]


def detect(logits, boxes, activation='softmax', **options):
    return top_detections(
        torch.tensor(logits),
        torch.tensor(boxes),
        activation=activation,
        source_size=options.pop('source_size', (100, 200)),
        class_names=NAMES,
        **options,
    )


def test_softmax_drops_no_object_and_gives_each_query_its_best_class():
    found = detect([[2.0, 0.0, 0.0], [0.0, 1.0, 3.0]], [BOX, BOX])
    e = np.exp
    assert_allclose(found.scores, [e(2) / (e(2) + 2), e(1) / (1 + e(1) + e(3))], rtol=1e-6)
    assert found.labels.tolist() == [0, 1]


def test_sigmoid_ranks_every_pair_of_query_and_class():
    found = detect([[2.0, 1.0], [-1.0, 3.0]], [BOX, [0.5, 0.5, 0.4, 0.2]], 'sigmoid')
    assert found.labels.tolist() == [1, 0, 1, 0]
    assert_allclose(found.scores, 1 / (1 + np.exp([-3.0, -2.0, -1.0, 1.0])), rtol=1e-6)
    assert_allclose(found.boxes_xyxy_px[0], [60, 40, 140, 60], rtol=1e-6)
    assert_allclose(found.boxes_xyxy_px[1], [80, 30, 120, 70], rtol=1e-6)


def test_boxes_come_in_pixels_of_the_raw_image_and_are_clipped_to_it():
    boxes = [[0.1, 0.5, 0.4, 0.5], [0.9, 0.9, 0.4, 0.4]]
    found = detect([[5.0, 0.0, 0.0], [4.0, 0.0, 0.0]], boxes)
    assert_allclose(found.boxes_xyxy_px, [[0, 25, 60, 75], [140, 70, 200, 100]], atol=1e-4)


@pytest.mark.parametrize(
    'box',
    [
        pytest.param([0.5, 0.5, 0.0, 0.2], id='no width'),
        pytest.param([1.5, 0.5, 0.2, 0.2], id='outside'),
        pytest.param([0.5, float('nan'), 0.2, 0.2], id='NaN'),
        pytest.param([0.5, 0.5, -0.2, 0.2], id='negative'),
    ],
)
def test_boxes_without_area_in_the_image_are_left_out(box):
    found = detect([[5.0, 0.0, 0.0], [4.0, 0.0, 0.0]], [box, BOX])
    assert_allclose(found.boxes_xyxy_px, [[80, 30, 120, 70]], rtol=1e-6)


def test_scores_that_are_not_numbers_are_left_out():
    nan = float('nan')
    found = detect([[nan, nan], [1.0, 0.0]], [BOX, BOX], 'sigmoid')
    assert_allclose(found.scores, 1 / (1 + np.exp([-1.0, 0.0])), rtol=1e-6)


def test_only_the_best_are_kept_in_descending_order():
    logits = [[float(n), 0.0, 0.0] for n in (1, 3, 2, 5, 4)]
    found = detect(logits, [BOX] * 5, limit=3)
    assert len(found) == 3
    assert (np.diff(found.scores) < 0).all()
    assert_allclose(found.scores[0], np.exp(5) / (np.exp(5) + 2), rtol=1e-6)


# Widths of 0.2 a quarter of a width apart: neighbours overlap by 0.6, the next but one by 1 / 3.
ROW = [[0.3 + 0.05 * n, 0.5, 0.2, 0.2] for n in range(4)]


@pytest.mark.parametrize(
    ('iou', 'kept'),
    [
        pytest.param(1.0, [0, 1, 2, 3], id='off'),
        pytest.param(0.7, [0, 1, 2, 3], id='none overlaps so much'),
        pytest.param(0.5, [0, 2], id='neighbours repeat'),
        pytest.param(0.3, [0, 3], id='the next but one, too'),
    ],
)
def test_a_box_that_repeats_a_better_one_of_its_class_is_left_out(iou, kept):
    logits = [[4.0 - n, -9.0, -9.0] for n in range(4)]
    found = detect(logits, ROW, suppress_iou=iou)
    scores = np.exp(4.0 - np.array(kept))
    assert_allclose(found.scores, scores / (scores + 2 * np.exp(-9)), rtol=1e-5)


def test_boxes_of_other_classes_are_no_repetition():
    found = detect([[4.0, -9.0], [-9.0, 3.0]], [BOX, BOX], 'sigmoid', suppress_iou=0.5)
    assert found.above(0.5).labels.tolist() == [0, 1]


def test_repetitions_do_not_use_up_the_limit():
    logits = [[float(9 - n), -9.0] for n in range(5)]
    boxes = [BOX, BOX, BOX, [0.1, 0.1, 0.1, 0.1], [0.9, 0.9, 0.1, 0.1]]
    found = detect(logits, boxes, 'sigmoid', suppress_iou=0.5, limit=3)
    assert_allclose(found.boxes_xyxy_px[:, 0], [80, 10, 170], rtol=1e-5)


def test_a_box_that_is_no_number_suppresses_nothing_and_hides_no_repetition():
    nan = [float('nan')] * 4
    found = detect([[9.0], [8.0], [7.0]], [nan, BOX, BOX], 'sigmoid', suppress_iou=0.5)
    assert_allclose(found.scores, 1 / (1 + np.exp(-8.0)), rtol=1e-6)


def test_no_query_gives_no_detection():
    found = top_detections(
        torch.zeros(0, 3),
        torch.zeros(0, 4),
        activation='softmax',
        source_size=(10, 10),
        class_names=NAMES,
    )
    assert len(found) == 0
    assert found.boxes_xyxy_px.shape == (0, 4)


def test_stamp_frame_and_size_of_the_source_are_carried():
    found = detect([[1.0, 0.0, 0.0]], [BOX], stamp_ns=123, frame_id='thermal_optical')
    assert (found.stamp_ns, found.frame_id) == (123, 'thermal_optical')
    assert found.image_size == (100, 200)
    assert found.class_names == NAMES


def test_half_precision_logits_are_activated_in_single_precision():
    logits = torch.tensor([[1.0, 2.0, 0.0]])
    found = top_detections(
        logits.bfloat16(),
        torch.tensor([BOX]).bfloat16(),
        activation='softmax',
        source_size=(100, 200),
        class_names=NAMES,
    )
    assert found.scores.dtype == np.float32
    assert_allclose(found.scores, np.exp(2) / (np.exp(1) + np.exp(2) + 1), rtol=1e-6)


def test_large_logits_do_not_overflow():
    assert_allclose(class_scores(np.float32([[200.0, 0.0, -200.0]]), 'softmax'), [[1.0, 0.0]])
    with np.errstate(over='ignore'):
        assert_allclose(class_scores(np.float32([[200.0, -200.0]]), 'sigmoid'), [[1.0, 0.0]])


def test_suppression_equals_the_greedy_loop():
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 60, (150, 2))
    boxes = np.concatenate((low, low + rng.uniform(10, 40, (150, 2))), 1).astype(np.float32)
    labels = rng.integers(2, size=150)
    kept: list[int] = []
    for n, (box, label) in enumerate(zip(boxes, labels)):
        rivals = [k for k in kept if labels[k] == label]
        if all(slow_iou(box, boxes[k]) <= 0.4 for k in rivals):
            kept.append(n)
    assert np.flatnonzero(_first_of_each(boxes, labels, 0.4)).tolist() == kept


def slow_iou(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(0.0, float(width)) * max(0.0, float(height))
    area = [float((c[2] - c[0]) * (c[3] - c[1])) for c in (a, b)]
    return shared / (sum(area) - shared)


def test_types_are_those_of_the_record():
    found = detect([[1.0, 0.0, 0.0]], [BOX])
    assert found.boxes_xyxy_px.dtype == np.float32
    assert found.scores.dtype == np.float32
    assert found.labels.dtype == np.int64
