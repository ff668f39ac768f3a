from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from thermal_perception.models.boxes import cxcywh_to_xyxy, elementwise_giou
from thermal_perception.models.denoising import Target
from training.e2e_mfd.assignment import distribute, focal_cost, how_many, ProposalAssigner
from training.e2e_mfd.geometry import OrientedGeometry, UprightGeometry

SIZE = torch.tensor([200.0, 400.0])
NONE = Target(torch.zeros(0, dtype=torch.int64), torch.zeros(0, 4))


def target(labels, boxes):
    return Target(torch.tensor(labels), torch.tensor(boxes))


def random_boxes(count, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 4, generator=generator) * 0.4 + 0.2


def assign(logits, boxes, truth, geometry=None):
    return ProposalAssigner(geometry or UprightGeometry())(logits, boxes, truth, SIZE)


def owners(match, proposals):
    owner = [-1] * proposals
    for query, truth in zip(match.query.tolist(), match.truth.tolist()):
        owner[query] = truth
    return owner


def test_focal_cost_is_that_of_the_source():
    p = torch.tensor([0.2, 0.9])
    expected = 0.25 * (1 - p) ** 2 * -p.log() - 0.75 * p**2 * -(1 - p).log()
    assert_close(focal_cost((p / (1 - p)).log()), expected)


def test_focal_cost_of_extreme_logits_is_finite():
    assert torch.isfinite(focal_cost(torch.tensor([-500.0, 500.0]))).all()


# One object, [0.4, 0.6] along both axes; its neighbourhood is [0, 1].
PENALTIES = {
    'centre in the object': ((0.45, 0.5), 0),
    'beside it': ((0.7, 0.5), 100),
    'at the edge of its neighbourhood': ((0.99, 0.5), 100),
    'far away': ((1.1, 0.5), 10_100),
}


@pytest.mark.parametrize(('centre', 'penalty'), PENALTIES.values(), ids=PENALTIES)
def test_cost_is_the_weighted_sum_of_the_source(centre, penalty):
    boxes = torch.tensor([[*centre, 0.3, 0.2]])
    truth = target([1], [[0.5, 0.5, 0.2, 0.2]])
    logits = torch.tensor([[-1.0, 0.5]])
    corners = cxcywh_to_xyxy(boxes), cxcywh_to_xyxy(truth.boxes)
    expected = 2 * focal_cost(logits)[0, 1] + 5 * (corners[0] - corners[1]).abs().sum()
    expected = expected - 2 * elementwise_giou(*corners)[0] + penalty
    assigner = ProposalAssigner(UprightGeometry())
    cost, _ = assigner.costs(logits, boxes, truth.labels, truth.boxes)
    assert_close(cost, expected.view(1, 1))


def test_a_proposal_near_another_object_escapes_the_larger_penalty():
    boxes = torch.tensor([[0.9, 0.9, 0.1, 0.1]])
    truth = target([0, 0], [[0.1, 0.1, 0.1, 0.1], [0.9, 0.9, 0.1, 0.1]])
    cost, _ = ProposalAssigner(UprightGeometry()).costs(
        torch.zeros(1, 1), boxes, truth.labels, truth.boxes
    )
    assert 100 < cost[0, 0] < 10_000
    assert cost[0, 1] < 0


def test_an_object_wants_the_sum_of_its_five_best_overlaps_and_at_least_one():
    iou = torch.tensor([[0.9, 0.1], [0.8, 0.1], [0.7, 0.0], [0.6, 0.0], [0.5, 0.0], [0.4, 0.0]])
    assert how_many(iou).tolist() == [3, 1]  # 3.5 without the sixth


def test_fewer_than_five_proposals_are_all_summed():
    assert how_many(torch.tensor([[1.0], [1.0], [0.9]])).tolist() == [2]


def test_each_object_takes_its_cheapest_proposals():
    cost = np.array([[1.0, 9.0], [2.0, 9.0], [3.0, 9.0], [9.0, 1.0]])
    assert distribute(cost, np.array([2, 1])).tolist() == [0, 0, -1, 1]


def test_a_proposal_wanted_twice_goes_to_the_object_it_is_cheapest_for():
    cost = np.array([[1.0, 0.5], [2.0, 9.0], [8.0, 9.0]])
    assert distribute(cost, np.array([2, 1])).tolist() == [1, 0, -1]


def test_an_object_left_with_nothing_takes_the_cheapest_free_proposal():
    cost = np.array([[1.0, 0.5, 0.7], [5.0, 9.0, 4.0], [6.0, 9.0, 3.0]])
    # All want the first; the second object gets it, the third has the cheaper of two claims left.
    assert distribute(cost, np.array([1, 1, 1])).tolist() == [1, 0, 2]


def test_an_object_left_with_nothing_takes_one_of_many_when_none_is_free():
    cost = np.array([[0.0, 1.0], [0.0, 3.0], [0.0, 2.0]])
    assert distribute(cost, np.array([3, 1])).tolist() == [1, 0, 0]


def test_more_objects_than_proposals_use_every_proposal_once():
    owner = distribute(np.array([[3.0, 1.0, 2.0], [3.0, 1.0, 2.0]]), np.array([1, 1, 1]))
    assert sorted(owner.tolist()) == [1, 2]


@pytest.mark.parametrize('seed', range(20))
def test_every_object_has_a_proposal_and_no_proposal_two_objects(seed):
    proposals, objects = 12, 1 + seed % 12
    truth = Target(torch.zeros(objects, dtype=torch.int64), random_boxes(objects, seed + 100))
    match = assign(torch.randn(proposals, 2), random_boxes(proposals, seed), truth)
    assert set(match.truth.tolist()) == set(range(objects))
    assert len(set(match.query.tolist())) == len(match.query)


def test_proposals_on_the_object_are_chosen_over_confident_ones_elsewhere():
    on_it = torch.tensor([[0.5, 0.5, 0.2, 0.2]] * 3)
    elsewhere = torch.tensor([[0.1, 0.1, 0.2, 0.2]] * 3)
    logits = torch.tensor([[-5.0]] * 3 + [[5.0]] * 3)
    match = assign(logits, torch.cat((on_it, elsewhere)), target([0], [[0.5, 0.5, 0.2, 0.2]]))
    assert owners(match, 6) == [0, 0, 0, -1, -1, -1]


def test_class_scores_decide_between_objects_at_one_place():
    boxes = torch.tensor([[0.5, 0.5, 0.2, 0.2]] * 2)
    truth = target([0, 1], [[0.5, 0.5, 0.2, 0.2]] * 2)
    match = assign(torch.tensor([[-3.0, 3.0], [3.0, -3.0]]), boxes, truth)
    assert owners(match, 2) == [1, 0]


def test_order_of_proposals_does_not_matter():
    truth = Target(torch.tensor([0, 1, 0]), random_boxes(3, 7))
    logits, boxes = torch.randn(9, 2), random_boxes(9, 8)
    order = torch.randperm(9)
    plain = owners(assign(logits, boxes, truth), 9)
    moved = owners(assign(logits[order], boxes[order], truth), 9)
    assert moved == [plain[i] for i in order.tolist()]


def test_no_object_has_no_proposal():
    match = assign(torch.randn(3, 2), random_boxes(3, 0), NONE)
    assert (len(match.query), len(match.truth)) == (0, 0)


def test_half_precision_predictions_are_assigned_in_single_precision():
    logits, boxes = torch.randn(5, 2), random_boxes(5, 0)
    truth = Target(torch.tensor([0, 1]), random_boxes(2, 1))
    rounded = logits.bfloat16(), boxes.bfloat16()
    expected = assign(*(t.float() for t in rounded), truth)
    assert torch.equal(assign(*rounded, truth).query, expected.query)


@pytest.mark.parametrize('bad', [math.nan, math.inf])
def test_predictions_that_are_not_finite_stop_the_assignment(bad):
    boxes = random_boxes(3, 0)
    boxes[1, 0] = bad
    with pytest.raises(FloatingPointError, match='assignment cost: found NaN or Inf'):
        assign(torch.zeros(3, 2), boxes, target([0], [[0.5, 0.5, 0.2, 0.2]]))


def test_assignment_carries_no_gradient():
    boxes = random_boxes(3, 0).requires_grad_()
    match = assign(torch.zeros(3, 2, requires_grad=True), boxes, target([0], [[0.5] * 4]))
    assert not match.query.requires_grad


def test_oriented_proposals_at_the_angle_of_the_object_are_chosen():
    turned = [0.5, 0.5, 0.4, 0.1, 0.7]
    boxes = torch.tensor([[0.5, 0.5, 0.4, 0.1, -0.8], turned, [0.5, 0.5, 0.4, 0.1, 0.7 - math.pi]])
    match = assign(torch.zeros(3, 1), boxes, target([0], [turned]), OrientedGeometry())
    assert owners(match, 3) == [-1, 0, 0]
