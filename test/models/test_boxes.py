from __future__ import annotations

import math

import pytest
import torch
from torch.testing import assert_close

from thermal_perception.models.boxes import (
    area,
    cxcywh_to_xyxy,
    distinct,
    elementwise_giou,
    elementwise_iou,
    pairwise_giou,
    pairwise_iou,
    refine,
    xyxy_to_cxcywh,
)


def random_boxes(count, seed):
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator)
    return torch.cat((corner, corner + torch.rand(count, 2, generator=generator)), 1)


def slow_iou_and_giou(a, b):
    """Work out IoU and generalised IoU of two boxes, number by number."""
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    inner = width * height
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inner
    hull = (max(a[2], b[2]) - min(a[0], b[0])) * (max(a[3], b[3]) - min(a[1], b[1]))
    iou = inner / union
    return iou, iou - (hull - union) / hull


def test_centre_and_size_of_a_box_by_hand():
    assert_close(
        cxcywh_to_xyxy(torch.tensor([5.0, 4.0, 2.0, 6.0])), torch.tensor([4.0, 1.0, 6.0, 7.0])
    )
    assert_close(
        xyxy_to_cxcywh(torch.tensor([4.0, 1.0, 6.0, 7.0])), torch.tensor([5.0, 4.0, 2.0, 6.0])
    )


def test_conversion_and_back_keeps_boxes_of_any_leading_shape():
    boxes = random_boxes(12, 0).view(3, 4, 4)
    assert_close(cxcywh_to_xyxy(xyxy_to_cxcywh(boxes)), boxes)


def test_area_of_a_box_with_a_negative_side_is_zero():
    boxes = torch.tensor([[0.0, 0.0, 2.0, 3.0], [2.0, 0.0, 0.0, 3.0], [1.0, 1.0, 1.0, 5.0]])
    assert_close(area(boxes), torch.tensor([6.0, 0.0, 0.0]))


@pytest.mark.parametrize(
    ('other', 'iou', 'giou'),
    [
        pytest.param([0, 0, 2, 2], 1.0, 1.0, id='the same'),
        pytest.param([1, 1, 3, 3], 1 / 7, 1 / 7 - 2 / 9, id='a quarter shared'),
        pytest.param([2, 0, 4, 2], 0.0, 0.0, id='touching'),
        pytest.param([4, 0, 6, 2], 0.0, -1 / 3, id='apart by their width'),
        pytest.param([0.5, 0.5, 1.5, 1.5], 0.25, 0.25, id='inside'),
        pytest.param([1, 1, 1, 1], 0.0, 0.0, id='a point inside'),
    ],
)
def test_overlap_with_a_two_by_two_box(other, iou, giou):
    a, b = torch.tensor([[0.0, 0.0, 2.0, 2.0]]), torch.tensor([other], dtype=torch.float32)
    assert_close(elementwise_iou(a, b), torch.tensor([iou]))
    assert_close(elementwise_giou(a, b), torch.tensor([giou]))


def test_overlaps_equal_a_slow_loop():
    a, b = random_boxes(7, 1), random_boxes(5, 2)
    slow = torch.tensor([[slow_iou_and_giou(x, y) for y in b.tolist()] for x in a.tolist()])
    assert_close(pairwise_iou(a, b), slow[..., 0])
    assert_close(pairwise_giou(a, b), slow[..., 1])
    assert_close(elementwise_iou(a[:5], b), slow[..., 0].diagonal())
    assert_close(elementwise_giou(a[:5], b), slow[..., 1].diagonal())


def test_two_points_have_a_finite_overlap_and_gradient():
    point = torch.zeros(1, 4, requires_grad=True)
    giou = elementwise_giou(point, torch.zeros(1, 4))
    giou.sum().backward()
    assert torch.isfinite(giou).all()
    assert torch.isfinite(point.grad).all()


@pytest.mark.parametrize(('a', 'b'), [(0, 3), (3, 0), (0, 0)])
def test_no_boxes_give_an_empty_table(a, b):
    assert pairwise_iou(torch.zeros(a, 4), torch.zeros(b, 4)).shape == (a, b)


def test_refine_moves_by_object_sizes_and_stretches_exponentially():
    reference = torch.tensor([0.5, 0.5, 0.2, 0.1])
    delta = torch.tensor([1.0, -1.0, math.log(2), 0.0])
    assert_close(refine(reference, delta), torch.tensor([0.7, 0.4, 0.4, 0.1]))


def test_refine_keeps_sizes_sane_whatever_the_delta():
    reference = torch.tensor([[0.5, 0.5, 0.5, 0.5]] * 2)
    sizes = refine(reference, torch.tensor([[0.0, 0, 99, 99], [0.0, 0, -99, -99]]))[:, 2:]
    assert_close(sizes[0], torch.full((2,), 2.0))
    assert_close(sizes[1], torch.full((2,), 0.5 * math.exp(-4)))


def greedy_suppression(boxes, limit):
    kept = []
    for i in range(len(boxes)):
        if all(slow_iou_and_giou(boxes[i].tolist(), boxes[k].tolist())[0] <= limit for k in kept):
            kept.append(i)
    return kept


@pytest.mark.parametrize('limit', [0.2, 0.5, 0.8])
def test_distinct_boxes_are_those_that_greedy_suppression_keeps(limit):
    batch = torch.stack([random_boxes(60, seed) for seed in range(4)])
    for boxes, kept in zip(batch, distinct(batch, limit, rounds=60)):
        assert kept.nonzero()[:, 0].tolist() == greedy_suppression(boxes, limit)
    assert torch.equal(distinct(batch, limit), distinct(batch, limit, rounds=60))


def test_a_box_whose_rival_was_itself_suppressed_is_kept():
    step = torch.tensor([0.0, 0.2, 0.4, 0.6])[:, None]  # each overlaps the next by 2 / 3
    boxes = torch.cat((step, torch.zeros(4, 1), step + 1, torch.ones(4, 1)), 1)
    assert distinct(boxes[None], 0.6).tolist() == [[True, False, True, False]]
    assert distinct(boxes[None], 0.7).all()
