from __future__ import annotations

import math

import torch
from torch.testing import assert_close

from thermal_perception.models.denoising import Target
from thermal_perception.models.e2e_mfd.head import StageOutput
from training.e2e_mfd.detection_loss import DetectionCriterion, DetectionLossConfig

LEFT, RIGHT = [0.25, 0.5, 0.5, 1.0], [0.75, 0.5, 0.5, 1.0]
SIZES = torch.tensor([[100.0, 200.0], [64.0, 64.0]])
TERMS = {'class', 'distance', 'giou'}


def target(labels, boxes, values=4):
    labels = torch.tensor(labels, dtype=torch.int64)
    return Target(labels, torch.tensor(boxes).view(len(labels), values))


NONE = target([], [])


def loss(stages, targets, boxes='upright', **weights):
    criterion = DetectionCriterion(boxes, DetectionLossConfig(**weights))
    return criterion(stages, targets, SIZES[: len(targets)])


def stage(logits, boxes):
    return StageOutput(torch.as_tensor(logits), torch.as_tensor(boxes))


def test_perfect_boxes_cost_only_their_scores():
    terms = loss([stage([[[0.0], [0.0]]], [[LEFT, RIGHT]])], [target([0], [LEFT])])
    assert set(terms) == TERMS
    assert terms['distance'] == terms['giou'] == 0
    # One matched proposal: focal 0.25/4 ln 2 for it and 0.75/4 ln 2 for the other, twice.
    assert_close(terms['class'], torch.tensor(2 * math.log(2) * (0.25 + 0.75) / 4))


def test_box_terms_are_those_of_the_source_divided_by_matched_proposals():
    found = [0.35, 0.5, 0.5, 1.0]  # IoU 2/3, and no empty corner in the hull
    terms = loss([stage([[[0.0]]], [[found]])], [target([0], [LEFT])])
    assert_close(terms['distance'], torch.tensor(5 * 0.2))
    assert_close(terms['giou'], torch.tensor(2 / 3))


def test_two_proposals_on_one_object_share_the_divisor():
    terms = loss([stage([[[0.0]] * 3], [[LEFT, LEFT, RIGHT]])], [target([0], [LEFT])])
    assert terms['distance'] == 0
    assert_close(terms['class'], torch.tensor(2 * math.log(2) * (2 * 0.25 + 0.75) / 4 / 2))


def test_images_of_a_batch_share_the_divisor():
    logits, boxes = torch.zeros(2, 1, 1), torch.tensor([[[0.35, 0.5, 0.5, 1.0]], [LEFT]])
    both = [target([0], [LEFT]), target([0], [LEFT])]
    terms = loss([stage(logits, boxes)], both)
    assert_close(terms['distance'], torch.tensor(5 * 0.2 / 2))


def test_all_stages_add_up_each_with_its_own_assignment():
    first = stage([[[0.0], [0.0]]], [[LEFT, RIGHT]])
    second = stage([[[0.0], [0.0]]], [[RIGHT, LEFT]])
    truth = [target([0], [LEFT])]
    whole = loss([first, second], truth)
    single = loss([first], truth)
    assert whole['distance'] == 0  # the second proposal of the second stage is right
    assert_close(whole['class'], 2 * single['class'])


def test_scores_of_other_classes_are_background():
    logits = torch.tensor([[[20.0, -20.0]]])
    right = loss([stage(logits, [[LEFT]])], [target([0], [LEFT])])
    wrong = loss([stage(logits, [[LEFT]])], [target([1], [LEFT])])
    assert right['class'] < 1e-6
    assert wrong['class'] > 10


def test_without_objects_boxes_cost_nothing_and_scores_have_a_finite_gradient():
    logits = torch.zeros(1, 3, 2, requires_grad=True)
    boxes = torch.rand(1, 3, 4, requires_grad=True)
    terms = loss([stage(logits, boxes)], [NONE])
    assert terms['distance'] == terms['giou'] == 0
    assert_close(terms['class'], torch.tensor(2 * 6 * 0.75 / 4 * math.log(2)))
    sum(terms.values()).backward()
    assert (logits.grad > 0).all()
    assert (boxes.grad == 0).all()


def test_an_image_without_objects_beside_one_with_some():
    logits, boxes = torch.zeros(2, 1, 1), torch.tensor([[RIGHT], [LEFT]])
    terms = loss([stage(logits, boxes)], [NONE, target([0], [LEFT])])
    assert terms['distance'] == 0
    assert_close(terms['class'], torch.tensor(2 * math.log(2) * (0.25 + 0.75) / 4))


def test_every_term_has_its_weight_and_none_is_left_out_of_the_gradient():
    logits = torch.zeros(1, 1, 1, requires_grad=True)
    boxes = torch.tensor([[[0.3, 0.4, 0.5, 0.9]]], requires_grad=True)
    truth = [target([0], [LEFT])]
    terms = loss([stage(logits, boxes)], truth)
    doubled = loss(
        [stage(logits, boxes)], truth, class_weight=4.0, distance_weight=10.0, giou_weight=4.0
    )
    assert_close(doubled, {name: 2 * value for name, value in terms.items()})
    sum(terms.values()).backward()
    assert (boxes.grad != 0).all()
    assert (logits.grad < 0).all()


def test_half_precision_output_is_compared_in_single_precision():
    boxes = torch.tensor([[[0.3, 0.4, 0.5, 0.9]]])
    half = stage(torch.zeros(1, 1, 1).bfloat16(), boxes)
    terms = loss([half], [target([0], [LEFT])])
    assert all(value.dtype == torch.float32 for value in terms.values())


def test_oriented_boxes_cost_nothing_when_perfect_whichever_way_they_are_described():
    box = [0.5, 0.5, 0.4, 0.1, 1.5]
    again = [0.5, 0.5, 0.4, 0.1, 1.5 - math.pi]
    terms = loss([stage([[[0.0]]], [[again]])], [target([0], [box], 5)], 'oriented')
    assert_close(terms['distance'], torch.tensor(0.0), atol=1e-5, rtol=0)
    assert_close(terms['giou'], torch.tensor(0.0), atol=1e-4, rtol=0)


def test_oriented_boxes_turn_across_the_seam_where_that_is_shorter():
    found = torch.tensor([[[0.5, 0.5, 0.4, 0.1, math.pi / 2 - 0.2]]], requires_grad=True)
    truth = [target([0], [[0.5, 0.5, 0.4, 0.1, -math.pi / 2 + 0.2]], 5)]
    terms = loss([stage(torch.zeros(1, 1, 1), found)], truth, 'oriented')
    for name in ('distance', 'giou'):
        (slope,) = torch.autograd.grad(terms[name], found, retain_graph=True)
        assert slope[0, 0, 4] < 0, name
