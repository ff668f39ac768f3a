from __future__ import annotations

import math

import pytest
import torch
from torch.testing import assert_close

from thermal_perception.models.boxes import cxcywh_to_xyxy, elementwise_giou
from training.e2e_mfd.geometry import make_geometry, OrientedGeometry, UprightGeometry

UPRIGHT, ORIENTED = UprightGeometry(), OrientedGeometry()


def random_upright(count, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 4, generator=generator) * 0.5 + 0.2


def lying(boxes_cxcywh):
    """Describe upright boxes with an angle."""
    return torch.cat((boxes_cxcywh, torch.zeros(len(boxes_cxcywh), 1)), 1)


def turned(boxes, angle):
    """Turn boxes (N, 5) about the origin."""
    cos, sin = math.cos(angle), math.sin(angle)
    x, y = boxes[:, 0], boxes[:, 1]
    centre = torch.stack((cos * x - sin * y, sin * x + cos * y), 1)
    return torch.cat((centre, boxes[:, 2:4], boxes[:, 4:] + angle), 1)


def test_kinds_are_made_by_name():
    assert isinstance(make_geometry('upright'), UprightGeometry)
    assert isinstance(make_geometry('oriented'), OrientedGeometry)


def test_upright_distance_is_that_of_corners():
    found, true = torch.tensor([0.5, 0.5, 0.4, 0.2]), torch.tensor([0.6, 0.5, 0.4, 0.4])
    # x1 and x2 are 0.1 apart, y1 and y2 too.
    assert_close(UPRIGHT.distance(found, true), torch.tensor(0.4))


@pytest.mark.parametrize('geometry', [UPRIGHT, ORIENTED])
def test_equal_boxes_are_at_no_distance_and_overlap_fully(geometry):
    boxes = random_upright(5, 0)
    if geometry is ORIENTED:
        boxes = torch.cat((boxes, torch.linspace(-1.5, 1.5, 5)[:, None]), 1)
    assert_close(geometry.distance(boxes, boxes), torch.zeros(5))
    assert_close(geometry.overlap(boxes, boxes).iou, torch.ones(5))
    assert_close(geometry.overlap(boxes, boxes).giou, torch.ones(5))


def test_oriented_overlap_of_upright_boxes_is_their_generalised_iou():
    a, b = random_upright(50, 1), random_upright(50, 2)
    b[25:, :2] += 1  # apart
    expected = elementwise_giou(cxcywh_to_xyxy(a), cxcywh_to_xyxy(b))
    assert_close(ORIENTED.overlap(lying(a), lying(b)).giou, expected, atol=1e-5, rtol=0)


def test_oriented_shift_along_an_axis_costs_what_the_upright_one_does():
    box = torch.tensor([[0.5, 0.5, 0.4, 0.2]])
    moved = box + torch.tensor([0.03, 0.0, 0.0, 0.0])
    assert_close(ORIENTED.distance(lying(box), lying(moved)), UPRIGHT.distance(box, moved))


@pytest.mark.parametrize('angle', [0.3, -1.2, 2.0])
def test_oriented_measures_do_not_change_when_both_boxes_turn(angle):
    a = torch.cat((random_upright(20, 3), torch.linspace(-1, 1, 20)[:, None]), 1)
    b = torch.cat((random_upright(20, 4), torch.linspace(1, -0.5, 20)[:, None]), 1)
    both = turned(a, angle), turned(b, angle)
    assert_close(ORIENTED.distance(*both), ORIENTED.distance(a, b), atol=1e-5, rtol=1e-4)
    assert_close(ORIENTED.overlap(*both), ORIENTED.overlap(a, b), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize('angle', [math.pi / 2 - 1e-3, -0.4, 0.0])
def test_oriented_distance_has_no_seam(angle):
    other = torch.tensor([0.45, 0.5, 0.3, 0.2, 0.1])
    box = torch.tensor([0.5, 0.5, 0.4, 0.2, angle])
    half_turned = box + torch.tensor([0, 0, 0, 0, math.pi])
    swapped = torch.tensor([0.5, 0.5, 0.2, 0.4, angle + math.pi / 2])
    for same in (half_turned, swapped):
        assert_close(ORIENTED.distance(same, other), ORIENTED.distance(box, other))
        assert_close(
            ORIENTED.overlap(same, other).giou,
            ORIENTED.overlap(box, other).giou,
            atol=1e-5,
            rtol=0,
        )


def test_oriented_distance_across_the_seam_is_small_and_pulls_across_it():
    found = torch.tensor([0.5, 0.5, 0.4, 0.1, math.pi / 2 - 0.01], requires_grad=True)
    true = torch.tensor([0.5, 0.5, 0.4, 0.1, -math.pi / 2 + 0.01])
    distance = ORIENTED.distance(found, true)
    assert distance < 0.01
    distance.backward()
    assert found.grad[4] < 0  # turning on, past the seam, brings it closer


def test_distant_oriented_boxes_still_attract_each_other():
    found = torch.tensor([3.0, 0.5, 0.4, 0.1, 0.3], requires_grad=True)
    true = torch.tensor([0.5, 0.5, 0.4, 0.1, 0.3])
    giou = ORIENTED.overlap(found, true).giou
    assert giou < 0
    giou.backward()
    assert found.grad[0] < 0


def test_oriented_boxes_are_placed_in_a_unit_that_both_axes_share():
    box = torch.tensor([0.5, 0.5, 0.1, 0.05, 0.2])
    size = torch.tensor([100.0, 400.0])  # the root of the area is 200 pixels
    assert_close(ORIENTED.place(box, size), torch.tensor([1.0, 0.25, 0.1, 0.05, 0.2]))


def test_upright_boxes_hold_points_within_a_number_of_sides():
    box = torch.tensor([[0.5, 0.5, 0.2, 0.1]])
    points = torch.tensor([[0.59, 0.5], [0.61, 0.5], [0.5, 0.56], [0.6, 0.5]])
    assert UPRIGHT.holds(box, points, 0.5).tolist() == [True, False, False, False]
    assert UPRIGHT.holds(box, points, 2.5).all()


def test_oriented_boxes_hold_points_along_their_own_sides():
    box = torch.tensor([[0.0, 0.0, 1.0, 0.2, math.pi / 4]])
    points = torch.tensor([[0.3, 0.3], [0.3, -0.3]])
    assert ORIENTED.holds(box, points, 0.5).tolist() == [True, False]


@pytest.mark.parametrize('geometry', [UPRIGHT, ORIENTED])
def test_all_pairs_equal_one_by_one(geometry):
    a, b = random_upright(4, 5), random_upright(3, 6)
    if geometry is ORIENTED:
        a, b = lying(a), lying(b)
    measures = (
        geometry.distance,
        lambda x, y: geometry.overlap(x, y).iou,
        lambda x, y: geometry.overlap(x, y).giou,
    )
    for measure in measures:
        single = torch.stack([torch.stack([measure(x, y) for y in b]) for x in a])
        assert_close(measure(a[:, None], b[None]), single)
