"""Boxes at any angle: by hand, against the evaluation's polygons, and across the angle's seam."""

from __future__ import annotations

import math

from hypothesis import given, strategies as st
import numpy as np
import pytest
from scipy.linalg import sqrtm
import torch
from torch.testing import assert_close

from thermal_perception.evaluation import polygons
from thermal_perception.models.boxes import cxcywh_to_xyxy, pairwise_iou
from thermal_perception.models.rotated_boxes import (
    elementwise_distance,
    elementwise_rotated_iou,
    long_side_first,
    pairwise_distance,
    pairwise_rotated_iou,
    rotated_corners,
    rotated_hulls,
    rotated_nms,
    seamless,
    wrap_angle,
)


def degrees(*boxes):
    """Return (N, 5) boxes of (cx, cy, w, h, degrees)."""
    rows = torch.tensor(boxes, dtype=torch.float32)
    return torch.cat((rows[:, :4], rows[:, 4:].deg2rad()), 1)


def random_boxes(count, *, seed, extent=100.0):
    generator = torch.Generator().manual_seed(seed)
    centre, size = torch.rand(2, count, 2, generator=generator)
    angle = torch.randn(count, 1, generator=generator) * 3
    return torch.cat((centre * extent, size * 60 + 0.5, angle), 1)


def slow_iou(a, b):
    """Return the (N, M) IoU by cutting polygons, in double precision."""
    corners = [polygons.rotated_corners(boxes.double().numpy()) for boxes in (a, b)]
    return torch.from_numpy(polygons.polygon_overlaps(*corners)).float()


def described_otherwise(boxes):
    """Return the same boxes, turned by half and by a quarter with sides swapped, both ways."""
    swapped = boxes[:, [0, 1, 3, 2, 4]]
    turns = [(boxes, math.pi), (boxes, -math.pi), (swapped, math.pi / 2), (swapped, -math.pi / 2)]
    return [torch.cat((same[:, :4], same[:, 4:] + turn), 1) for same, turn in turns]


@pytest.mark.parametrize(
    ('angle', 'wrapped'),
    [(0, 0), (90, -90), (-90, -90), (89, 89), (91, -89), (180, 0), (-135, 45), (725, 5)],
)
def test_angle_is_that_of_a_line_without_direction(angle, wrapped):
    found = wrap_angle(torch.tensor(float(angle)).deg2rad())
    assert_close(found, torch.tensor(float(wrapped)).deg2rad(), atol=1e-5, rtol=0)


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
@given(angle=st.floats(-1e4, 1e4, width=32))
def test_wrapped_angle_is_in_the_half_open_half_turn(dtype, angle):
    half, further = torch.tensor([math.pi / 2, 2e4], dtype=dtype)
    around = torch.tensor([angle, math.pi / 2, -math.pi / 2, -0.0, 1e-30], dtype=dtype)
    around = torch.cat((around, around.nextafter(-further), around.nextafter(further)))
    wrapped = wrap_angle(around)
    assert (wrapped >= -half).all()
    assert (wrapped < half).all()


def test_long_side_comes_first_and_the_box_stays():
    boxes = degrees([1, 2, 3, 9, 10], [1, 2, 9, 3, 100], [1, 2, 4, 4, 200], [1, 2, 3, 9, -80])
    ordered = long_side_first(boxes)
    expected = degrees([1, 2, 9, 3, -80], [1, 2, 9, 3, -80], [1, 2, 4, 4, 20], [1, 2, 9, 3, 10])
    assert_close(ordered, expected)
    assert_close(elementwise_rotated_iou(ordered, boxes), torch.ones(4))


def test_corners_turn_from_x_towards_y():
    corners = rotated_corners(degrees([10, 20, 4, 2, 90]))
    assert_close(corners, torch.tensor([[[11.0, 18], [11, 22], [9, 22], [9, 18]]]))


def test_corners_are_those_of_the_evaluation():
    boxes = random_boxes(20, seed=0)
    expected = torch.from_numpy(polygons.rotated_corners(boxes.numpy())).float()
    assert_close(rotated_corners(boxes.view(4, 5, 5)), expected.view(4, 5, 4, 2))


def test_hull_of_a_turned_square_is_as_wide_as_its_diagonal():
    root = math.sqrt(2)
    hulls = rotated_hulls(degrees([5, 7, 2, 2, 45], [5, 7, 4, 2, 90]))
    assert_close(hulls, torch.tensor([[5 - root, 7 - root, 5 + root, 7 + root], [4, 5, 6, 9]]))


def test_hulls_touch_the_outermost_corners():
    boxes = random_boxes(20, seed=1)
    corners = rotated_corners(boxes)
    assert_close(rotated_hulls(boxes), torch.cat((corners.amin(1), corners.amax(1)), 1))


@pytest.mark.parametrize(
    ('a', 'b', 'iou'),
    [
        # Side 2: the octagon has 8 (sqrt 2 - 1), the union 8 less that, the ratio is 1 / sqrt 2.
        pytest.param([0, 0, 2, 2, 0], [0, 0, 2, 2, 45], 1 / math.sqrt(2), id='square by 45'),
        pytest.param([5, 5, 4, 1, 30], [5, 5, 4, 1, 120], 1 / 7, id='cross of bars'),
        pytest.param([0, 0, 4, 4, 0], [2, 0, 4, 4, 0], 1 / 3, id='half over'),
        pytest.param([0, 0, 4, 4, 0], [2, 0, 4, 4, 90], 1 / 3, id='half over, turned'),
        pytest.param([0, 0, 4, 4, 0], [4, 0, 4, 4, 0], 0, id='side by side'),
        pytest.param([0, 0, 4, 4, 0], [0, 0, 2, 2, 0], 1 / 4, id='inside'),
        pytest.param([0, 0, 2, 2, 0], [0, 0, 4, 4, 0], 1 / 4, id='around'),
        pytest.param([0, 0, 4, 4, 0], [0, 0, 2, 2, 33], 1 / 4, id='turned inside'),
        pytest.param([0, 0, 4, 4, 0], [1, 1, 2, 2, 0], 1 / 4, id='in the corner'),
        # A diamond of area 16 and its half, a triangle, over the side of a square.
        pytest.param([0, 0, 8, 8, 0], [4, 0, 4, 4, 45], 8 / 72, id='diamond half over'),
        pytest.param([0, 0, 4, 4, 0], [4.5, 4.5, 4, 4, 45], 0, id='only hulls overlap'),
        pytest.param([0, 0, 4, 4, 0], [900, 0, 4, 4, 7], 0, id='far apart'),
        pytest.param([0, 0, 4, 4, 0], [0, 0, 4, 0, 30], 0, id='a line inside'),
        pytest.param([0, 0, 0, 0, 0], [0, 0, 0, 0, 30], 0, id='two points'),
        pytest.param([0, 0, 4, 4, 0], [0, 0, -2, 2, 0], 0, id='a negative side'),
        pytest.param([0, 0, 4, 4, 0], [0, 0, 2, -2, 0], 0, id='the other side negative'),
        pytest.param([0, 0, 4, 4, 0], [0, 0, -2, -2, 0], 0, id='two negative sides'),
    ],
)
def test_overlap_of_two_boxes(a, b, iou):
    a, b, expected = degrees(a), degrees(b), torch.tensor([iou], dtype=torch.float32)
    for turn in (0.0, 0.4, 2.0):  # of both, about the origin
        cos, sin = math.cos(turn), math.sin(turn)
        turned = [
            torch.stack((x * cos - y * sin, x * sin + y * cos, w, h, angle + turn), 1)
            for x, y, w, h, angle in (a.unbind(1), b.unbind(1))
        ]
        assert_close(elementwise_rotated_iou(*turned), expected, atol=1e-6, rtol=0)
        assert_close(elementwise_rotated_iou(*turned[::-1]), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize('scale', [1e-5, 1e-3, 1.0, 1e2])
def test_overlaps_equal_cut_polygons(scale):
    a, b = random_boxes(60, seed=2), random_boxes(40, seed=3)
    a[:, :4], b[:, :4] = a[:, :4] * scale, b[:, :4] * scale
    assert_close(pairwise_rotated_iou(a, b), slow_iou(a, b), atol=2e-6, rtol=0)


@pytest.mark.parametrize('turn', [0, 1e-7, 1e-4, math.pi / 2, -math.pi, 3 * math.pi])
def test_boxes_whose_sides_nearly_coincide_overlap_as_they_should(turn):
    a = random_boxes(40, seed=4)
    b = torch.cat((a[:, :4], a[:, 4:] + turn), 1)
    expected = slow_iou(a, b).diagonal()
    assert_close(elementwise_rotated_iou(a, b), expected, atol=1e-5, rtol=0)


def test_upright_boxes_overlap_as_upright_boxes():
    a, b = random_boxes(20, seed=5), random_boxes(30, seed=6)
    a[:, 4], b[:, 4] = 0, math.pi
    upright = pairwise_iou(cxcywh_to_xyxy(a[:, :4]), cxcywh_to_xyxy(b[:, :4]))
    assert_close(pairwise_rotated_iou(a, b), upright, atol=1e-6, rtol=1e-5)


def test_overlap_does_not_depend_on_how_a_box_is_described():
    a, b = random_boxes(20, seed=7), random_boxes(20, seed=8)
    for same in described_otherwise(a):
        assert_close(pairwise_rotated_iou(same, b), pairwise_rotated_iou(a, b), atol=2e-6, rtol=0)


def test_batches_are_compared_each_with_its_own():
    a, b = random_boxes(6, seed=9).view(2, 3, 5), random_boxes(8, seed=10).view(2, 4, 5)
    table = pairwise_rotated_iou(a, b)
    assert table.shape == (2, 3, 4)
    assert_close(table[1], pairwise_rotated_iou(a[1], b[1]))
    assert pairwise_distance(a, b).shape == (2, 3, 4)


@pytest.mark.parametrize(('a', 'b'), [(0, 3), (3, 0), (0, 0)])
def test_no_boxes_give_an_empty_table(a, b):
    assert pairwise_rotated_iou(torch.zeros(a, 5), torch.zeros(b, 5)).shape == (a, b)
    assert pairwise_distance(torch.zeros(a, 5), torch.zeros(b, 5)).shape == (a, b)


def test_gradient_of_the_overlap_equals_finite_differences():
    a, b = (random_boxes(5, seed=s, extent=20.0).double().requires_grad_() for s in (11, 12))
    assert torch.autograd.gradcheck(pairwise_rotated_iou, (a, b))


def test_gradient_of_a_shifted_square_by_hand():
    # Of side 2, shifted by 1: shared 2 of 6. Per unit of shift 2 less are shared, and 2 more
    # united: (-2 * 6 - 2 * 2) / 36.
    a = degrees([1, 0, 2, 2, 0]).requires_grad_()
    elementwise_rotated_iou(a, degrees([0, 0, 2, 2, 0])).sum().backward()
    assert_close(a.grad[0, 0], torch.tensor(-16 / 36))


odd_pairs = pytest.mark.parametrize(
    ('a', 'b'),
    [
        pytest.param([3, 4, 5, 2, 30], [3, 4, 5, 2, 30], id='equal'),
        pytest.param([3, 4, 5, 2, 30], [3, 4, 5, 2, 210], id='equal, turned by half'),
        pytest.param([3, 4, 5, 5, 30], [3, 4, 5, 5.0001, 30], id='nearly square'),
        pytest.param([3, 4, 5, 5, 0], [3, 4, 5, 5, 90], id='squares'),
        pytest.param([0, 0, 4, 4, 0], [4, 0, 4, 4, 0], id='touching'),
        pytest.param([0, 0, 4, 4, 0], [2, 2, 0, 0, 0], id='a point in the corner'),
        pytest.param([0, 0, 0, 0, 0], [0, 0, 0, 0, 0], id='two points'),
        pytest.param([0, 0, 4, 0, 0], [0, 0, 0, 4, 0], id='two lines'),
        pytest.param([0, 0, 4, 1e-9, 1], [0, 0, 4, 1e-9, 1], id='hairs'),
        pytest.param([0, 0, -1, 2, 0], [0, 0, 1, 2, 0], id='a negative side'),
        pytest.param([1e5, 0, 4, 4, 3], [-1e5, 0, 1e5, 4, 5], id='far away'),
    ],
)


@odd_pairs
@pytest.mark.parametrize('measure', [elementwise_rotated_iou, elementwise_distance])
def test_measure_and_gradient_are_finite_for_odd_pairs(measure, a, b):
    a, b = degrees(a).requires_grad_(), degrees(b).requires_grad_()
    result = measure(a, b)
    result.sum().backward()
    assert result.isfinite().all()
    assert a.grad.isfinite().all()
    assert b.grad.isfinite().all()


@pytest.mark.parametrize(
    ('a', 'b', 'distance'),
    [
        pytest.param([1, 2, 8, 4, 30], [4, 6, 8, 4, 30], 5.0, id='shifted by 3 and 4'),
        pytest.param([1, 2, 8, 4, 30], [1, 2, 14, 4, 30], 3.0, id='longer by 6'),
        pytest.param([1, 2, 8, 4, 30], [1, 2, 14, 12, 30], 5.0, id='longer by 6 and 8'),
        # Upright 4 x 2 against 2 x 4: both half sides differ by 1.
        pytest.param([0, 0, 4, 2, 0], [0, 0, 4, 2, 90], math.sqrt(2), id='quarter turn'),
        pytest.param([0, 0, 4, 2, 0], [0, 0, 2, 4, 90], 0.0, id='quarter turn, sides swapped'),
        pytest.param([0, 0, 4, 2, 10], [0, 0, 4, 2, 190], 0.0, id='half turn'),
        pytest.param([0, 0, 3, 3, 0], [0, 0, 3, 3, 45], 0.0, id='square at another angle'),
        pytest.param([0, 0, 0, 0, 0], [0, 0, 6, 8, 50], 5.0, id='from a point'),
    ],
)
def test_distance_of_two_boxes(a, b, distance):
    found = elementwise_distance(degrees(a), degrees(b))
    assert_close(found, torch.tensor([distance]), atol=1e-5, rtol=1e-5)


def test_distance_of_upright_boxes_is_that_of_their_corners():
    a, b = random_boxes(10, seed=13), random_boxes(12, seed=14)
    a[:, 4] = b[:, 4] = 0
    corners = torch.cdist(cxcywh_to_xyxy(a[:, :4]), cxcywh_to_xyxy(b[:, :4]))
    assert_close(pairwise_distance(a, b), corners / math.sqrt(2), atol=1e-4, rtol=1e-5)


def test_description_does_not_change_with_the_names_of_sides():
    boxes = random_boxes(20, seed=15)
    for same in described_otherwise(boxes):
        assert_close(seamless(same), seamless(boxes), atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize('sides', [(8, 2), (5, 5.01), (1, 1)])
def test_description_does_not_jump_at_any_angle(sides):
    angles = torch.linspace(-math.pi, math.pi, 721)
    boxes = torch.tensor([0.0, 0, *sides]).repeat(721, 1)
    boxes = long_side_first(torch.cat((boxes, angles[:, None]), 1))
    steps = elementwise_distance(boxes[1:], boxes[:-1])
    # A turn by d moves the elongation (w - h) / sqrt 8 by twice that angle.
    expected = abs(sides[0] - sides[1]) / math.sqrt(8) * 2 * math.radians(0.5)
    assert_close(steps, torch.full((720,), expected), atol=1e-3, rtol=1e-3)


def wasserstein(a, b):
    """Return the distance of the Gaussians of two boxes by matrix roots."""

    def covariance(box):
        cos, sin = math.cos(box[4]), math.sin(box[4])
        turn = np.array([[cos, -sin], [sin, cos]])
        return turn @ np.diag([box[2] ** 2 / 4, box[3] ** 2 / 4]) @ turn.T

    p, q = covariance(a), covariance(b)
    root = sqrtm(p)
    shape = np.trace(p + q - 2 * sqrtm(root @ q @ root)).real
    return math.sqrt((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2 + max(shape, 0))


def test_distance_is_wassersteins_or_up_to_sqrt_2_times_as_much():
    a, b = random_boxes(50, seed=16).double(), random_boxes(50, seed=17).double()
    slow = torch.tensor([wasserstein(x, y) for x, y in zip(a.tolist(), b.tolist())])
    ratio = elementwise_distance(a, b).float() / slow
    assert (ratio > 1 - 1e-5).all()
    assert (ratio < math.sqrt(2)).all()
    b[:, 4] = a[:, 4]
    slow = torch.tensor([wasserstein(x, y) for x, y in zip(a.tolist(), b.tolist())])
    assert_close(elementwise_distance(a, b).float(), slow, atol=1e-4, rtol=1e-4)


def test_gradient_of_the_distance_equals_finite_differences():
    a, b = (random_boxes(5, seed=s, extent=20.0).double().requires_grad_() for s in (18, 19))
    assert torch.autograd.gradcheck(pairwise_distance, (a, b))


def test_box_finds_its_goal_across_the_seam():
    # From 80 to 100 degrees, which is called -80, and from apart: the short way, by 20 degrees.
    goal = degrees([60, 40, 30, 10, -80])
    box = degrees([10, 10, 20, 15, 80]).requires_grad_()
    optimiser = torch.optim.Adam([box], lr=1.0)
    schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 1e-3, total_iters=120)
    for _ in range(120):
        loss = elementwise_distance(box, goal) + 5 * (1 - elementwise_rotated_iou(box, goal))
        optimiser.zero_grad()
        loss.sum().backward()
        optimiser.step()
        schedule.step()
    assert box[0, 4].item() > math.pi / 4  # not back through 0
    assert elementwise_rotated_iou(box, goal).item() > 0.98


def slow_nms(boxes, scores, labels, iou):
    table, kept = slow_iou(boxes, boxes), []
    for i in sorted(range(len(boxes)), key=lambda i: -scores[i].item()):
        if all(labels[i] != labels[k] or table[i, k] <= iou for k in kept):
            kept.append(i)
    return kept


@pytest.mark.parametrize('iou', [0.1, 0.3, 0.7])
def test_suppression_equals_a_slow_loop(iou):
    boxes = random_boxes(80, seed=20)
    generator = torch.Generator().manual_seed(21)
    scores = torch.rand(80, generator=generator)
    labels = torch.randint(0, 3, (80,), generator=generator)
    kept = rotated_nms(boxes, scores, labels, iou=iou)
    assert kept.tolist() == slow_nms(boxes, scores, labels, iou)


def test_suppression_goes_by_the_boxes_not_by_their_hulls():
    # Two bars at 45 degrees, side by side: hulls overlap, bars do not.
    boxes = degrees([20, 20, 30, 4, 45], [24, 16, 30, 4, 45], [20, 20, 30, 4, 225])
    kept = rotated_nms(boxes, torch.tensor([0.5, 0.9, 0.8]), torch.zeros(3), iou=0.1)
    assert kept.tolist() == [1, 2]


def test_box_whose_rival_was_itself_suppressed_is_chosen():
    boxes = degrees(*[[x, 0, 10, 5, 0] for x in (0, 2, 4, 6)])  # neighbours overlap by 2 / 3
    kept = rotated_nms(boxes, torch.tensor([0.9, 0.8, 0.7, 0.6]), torch.zeros(4), iou=0.6)
    assert kept.tolist() == [0, 2]


def test_no_boxes_leave_none_chosen():
    kept = rotated_nms(torch.zeros(0, 5), torch.zeros(0), torch.zeros(0), iou=0.5)
    assert kept.shape == (0,)
    assert kept.dtype == torch.int64
