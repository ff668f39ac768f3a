"""Anchors to boxes in the vehicle's frame."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from thermal_perception.models.boxes_3d import encode_boxes
from thermal_perception.models.emiff.anchors import make_anchors
from thermal_perception.models.emiff.config import AnchorConfig, EmiffConfig, GridConfig
from thermal_perception.models.emiff.head import HeadOutput
from thermal_perception.postprocess.boxes_3d import merged_boxes, upright_boxes

CONFIG = EmiffConfig(grid=GridConfig((0.0, -8.0, -3.0), (32.0, 8.0, 0.6), (32, 16, 12)))
ANCHORS = make_anchors(CONFIG)


def head_of(*objects, anchors=ANCHORS, classes=1):
    """Make the output of a network that found (row, column, anchor, score, box, bin, label)."""
    ny, nx, per_cell, _ = anchors.shape
    logits = torch.full((ny, nx, per_cell, classes), -9.0)
    codes = torch.zeros(ny, nx, per_cell, 7)
    bins = torch.zeros(ny, nx, per_cell, 2)
    for row, column, anchor, score, box, direction, label in objects:
        logits[row, column, anchor, label] = math.log(score / (1 - score))
        codes[row, column, anchor] = encode_boxes(torch.tensor(box), anchors[row, column, anchor])
        bins[row, column, anchor, direction] = 5.0
    return HeadOutput(*(x.flatten(2).permute(2, 0, 1)[None] for x in (logits, codes, bins)))


def boxes_of(*objects, anchors=ANCHORS, names=('car',), **options):
    head = head_of(*objects, anchors=anchors, classes=len(names))
    return upright_boxes(**head._asdict(), anchors=anchors, class_names=names, **options)


CAR = (10.2, -3.1, -1.7, 4.2, 1.8, 1.5, 0.4)


def test_a_box_by_hand():
    found = boxes_of((4, 10, 0, 0.8, CAR, 0, 0), stamp_ns=7, frame_id='lidar')
    assert (found.stamp_ns, found.frame_id, found.class_names) == (7, 'lidar', ('car',))
    np.testing.assert_allclose(found.centres_m, [[10.2, -3.1, -0.95]], atol=1e-5)
    np.testing.assert_allclose(found.sizes_m, [[4.2, 1.8, 1.5]], atol=1e-5)
    np.testing.assert_allclose(found.yaws_rad, [0.4], atol=1e-5)
    np.testing.assert_allclose(found.scores, [0.8], atol=1e-6)
    assert found.labels.tolist() == [0]
    assert found.track_ids.tolist() == [-1]


def test_the_direction_turns_a_box_round():
    found = boxes_of((4, 10, 0, 0.8, CAR, 1, 0))
    np.testing.assert_allclose(found.yaws_rad, [0.4 + math.pi], atol=1e-5)


def test_of_two_that_overlap_the_better_stays():
    beside = (10.9, -3.1, -1.7, 4.2, 1.8, 1.5, 0.4)
    far = (20.0, 3.0, -1.7, 4.2, 1.8, 1.5, 1.2)
    found = boxes_of(
        (4, 10, 0, 0.8, CAR, 0, 0), (4, 11, 1, 0.9, beside, 0, 0), (11, 20, 1, 0.3, far, 0, 0)
    )
    np.testing.assert_allclose(found.scores, [0.9, 0.3], atol=1e-6)
    np.testing.assert_allclose(found.centres_m[:, 0], [10.9, 20.0], atol=1e-5)


def test_boxes_that_touch_no_more_than_a_hundredth_both_stay():
    # Along one line, 4.2 long: 0.03 shared of 8.37 is 0.0036.
    first = (10.0, 0.0, -1.7, 4.2, 1.8, 1.5, 0.0)
    second = (14.17, 0.0, -1.7, 4.2, 1.8, 1.5, 0.0)
    assert len(boxes_of((8, 10, 0, 0.8, first, 0, 0), (8, 14, 0, 0.7, second, 0, 0))) == 2
    second = (14.0, 0.0, -1.7, 4.2, 1.8, 1.5, 0.0)  # 0.2 of 8.2
    assert len(boxes_of((8, 10, 0, 0.8, first, 0, 0), (8, 14, 0, 0.7, second, 0, 0))) == 1


def test_weak_boxes_are_left_out():
    assert len(boxes_of((4, 10, 0, 0.0999, CAR, 0, 0))) == 0
    assert len(boxes_of((4, 10, 0, 0.1001, CAR, 0, 0))) == 1


def test_at_most_fifty_and_at_most_a_hundred_looked_at():
    small = [
        (row, column, 0, 0.5, (column + 0.5, row - 7.5, -1.7, 0.5, 0.5, 1.5, 0.0), 0, 0)
        for row in range(16)
        for column in range(8)
    ]
    assert len(boxes_of(*small)) == 50
    assert len(boxes_of(*small, limit=200)) == 100
    assert len(boxes_of(*small, limit=200, candidates=200)) == 128


def test_classes_do_not_suppress_each_other():
    config = EmiffConfig(
        class_names=('car', 'cyclist'),
        anchors=(AnchorConfig(), AnchorConfig('', (1.76, 0.6, 1.73), -0.6)),
        grid=CONFIG.grid,
    )
    anchors = make_anchors(config)
    found = boxes_of(
        (4, 10, 0, 0.8, CAR, 0, 0), (4, 10, 2, 0.7, CAR, 0, 1), anchors=anchors,
        names=config.class_names,
    )  # fmt: skip
    assert found.labels.tolist() == [0, 1]


def test_what_is_no_number_is_left_out():
    head = head_of((4, 10, 0, 0.8, CAR, 0, 0), (11, 20, 0, 0.7, (20.0, *CAR[1:]), 0, 0))
    head.box_codes[0, 3, 4, 10] = float('nan')
    head.class_logits[0, 0, 0, 0] = float('nan')
    found = upright_boxes(**head._asdict(), anchors=ANCHORS, class_names=('car',))
    np.testing.assert_allclose(found.scores, [0.7], atol=1e-6)


def test_many_scores_that_are_no_numbers_hide_no_box():
    head = head_of((4, 10, 0, 0.8, CAR, 0, 0))
    head.class_logits[0, 1] = float('nan')
    assert len(upright_boxes(**head._asdict(), anchors=ANCHORS, class_names=('car',))) == 1


@pytest.mark.parametrize('kind', [torch.float16, torch.bfloat16])
def test_half_precision(kind):
    head = HeadOutput(*(x.to(kind) for x in head_of((4, 10, 0, 0.75, CAR, 0, 0))))
    found = upright_boxes(**head._asdict(), anchors=ANCHORS, class_names=('car',))
    np.testing.assert_allclose(found.centres_m, [[10.2, -3.1, -0.95]], atol=0.02)


def test_late_fusion_keeps_the_better_of_two_boxes_of_one_car_and_what_one_alone_saw():
    alone = (20.0, 3.0, -1.7, 4.2, 1.8, 1.5, 1.2)
    beside = (10.5, -3.0, -1.7, 4.0, 1.8, 1.5, 0.4)
    ego = boxes_of((4, 10, 0, 0.6, CAR, 0, 0), stamp_ns=7, frame_id='lidar')
    others = (4, 10, 0, 0.8, beside, 0, 0), (11, 20, 1, 0.5, alone, 0, 0)
    infra = boxes_of(*others, frame_id='lidar')
    both = merged_boxes(ego, infra)
    np.testing.assert_allclose(both.scores, [0.8, 0.5], atol=1e-6)
    np.testing.assert_allclose(both.centres_m[:, 0], [10.5, 20.0], atol=1e-5)
    assert both.stamp_ns == 7
    assert len(merged_boxes(ego, infra, nms_iou=1.0)) == 3
    nothing = boxes_of(frame_id='lidar', score_threshold=0.5)
    assert len(merged_boxes(nothing, nothing)) == 0
