from __future__ import annotations

import math

import pytest
import torch
from torch.testing import assert_close

from thermal_perception.models.e2e_mfd.box_codes import make_box_code, OrientedCode, UprightCode

DEGREE = math.pi / 180
WIDE = torch.tensor([[100.0, 400.0]])  # height, width


def boxes(*rows):
    return torch.tensor([rows], dtype=torch.float32)


def random_oriented(count, seed=0):
    """Return (1, count, 5) boxes with sides of 0.04..0.4 and any angle."""
    u = torch.rand(1, count, 5, generator=torch.Generator().manual_seed(seed))
    sides = (0.04 + 0.36 * u[..., 2:4]).sort(dim=-1, descending=True).values
    return torch.cat((u[..., :2], sides, (u[..., 4:] - 0.5) * math.pi), dim=-1)


def log_shape(box):
    """Return the (2, 2) logarithm of one box's shape matrix, from its definition."""
    long, short, angle = box[2:].double().tolist()
    cos, sin = math.cos(angle), math.sin(angle)
    turn = torch.tensor([[cos, -sin], [sin, cos]], dtype=torch.float64)
    return turn @ torch.diag(torch.tensor([long, short], dtype=torch.float64).log()) @ turn.T


def turned(box, angle):
    """Return boxes turned about the middle of a square image."""
    cos, sin = math.cos(angle), math.sin(angle)
    x, y = box[..., 0] - 0.5, box[..., 1] - 0.5
    centre = torch.stack((cos * x - sin * y + 0.5, sin * x + cos * y + 0.5), -1)
    return torch.cat((centre, box[..., 2:4], box[..., 4:] + angle), -1)


def test_kind_of_code_when_asked_by_name_describes_that_many_values():
    assert make_box_code('upright').values == 4
    assert make_box_code('oriented').values == 5


def test_upright_unit_when_a_box_leaves_the_image_is_cut_to_it():
    unit = UprightCode().to_unit(boxes([-0.2, 1.1, 0.5, 1.4]))
    assert_close(unit, boxes([0.0, 1.0, 0.5, 1.0]))


def test_upright_box_when_noise_leaves_no_side_can_still_grow():
    box = UprightCode().from_unit(boxes([0.5, 0.5, 0.0, 0.0]))
    assert_close(box, boxes([0.5, 0.5, 1e-4, 1e-4]))


@pytest.mark.parametrize(
    ('angle', 'along', 'across'),
    [(0, 0.75, 0.5), (90, 0.25, 0.5), (-90, 0.25, 0.5), (45, 0.5, 0.75), (-45, 0.5, 0.25)],
)
def test_oriented_unit_when_one_side_is_four_times_the_other_turns_twice_as_fast(
    angle, along, across
):
    # ln(4) / 2 above and below the mean is half of the range of ln 4.
    unit = OrientedCode().to_unit(boxes([0.3, 0.6, 1 / 8, 1 / 32, angle * DEGREE]))
    assert_close(unit, boxes([0.3, 0.6, 0.5, along, across]))  # 1/16 is half of the way to 1/256


def test_oriented_unit_when_the_angle_passes_a_half_turn_does_not_jump():
    code = OrientedCode()
    before = code.to_unit(boxes([0.5, 0.5, 0.4, 0.1, 89.99 * DEGREE]))
    after = code.to_unit(boxes([0.5, 0.5, 0.4, 0.1, -89.99 * DEGREE]))
    assert_close(before, after, atol=2e-4, rtol=0)


def test_oriented_unit_when_long_and_short_side_swap_does_not_jump():
    code = OrientedCode()
    wide = code.to_unit(boxes([0.5, 0.5, 0.2001, 0.2, 0.0]))
    tall = code.to_unit(boxes([0.5, 0.5, 0.2001, 0.2, 90 * DEGREE]))
    assert_close(wide, tall, atol=5e-4, rtol=0)


def test_oriented_unit_when_beyond_its_range_is_the_nearest_within():
    code = OrientedCode()
    unit = code.to_unit(boxes([0.5, 0.5, 3.0, 1e-3, 0.0], [0.5, 0.5, 1e-4, 1e-4, 0.0]))
    assert unit[0, 0, 3] == 1  # an aspect ratio of 3000 becomes 16
    assert unit[0, 1, 2] == 0  # a ten-thousandth of the image becomes 1/256


def test_oriented_code_when_there_and_back_returns_the_box():
    code = OrientedCode()
    box = random_oriented(200)
    assert_close(code.from_unit(code.to_unit(box)), box, atol=2e-5, rtol=1e-4)


def test_oriented_box_of_any_numbers_is_a_proper_box():
    unit = torch.rand(1, 500, 5, generator=torch.Generator().manual_seed(0))
    unit[0, :2] = torch.tensor([[0.0] * 5, [1.0] * 5])
    box = OrientedCode().from_unit(unit)
    assert box.isfinite().all()
    assert (box[..., 2] >= box[..., 3]).all()
    assert (box[..., 3] > 0).all()
    assert (box[..., 4] >= -math.pi / 2).all()
    assert (box[..., 4] < math.pi / 2).all()


@pytest.mark.parametrize('kind', ['upright', 'oriented'])
def test_box_of_the_full_image_has_its_area(kind):
    code = make_box_code(kind)
    box = code.from_unit(torch.tensor(code.full_image))
    assert_close(box[:2], torch.tensor([0.5, 0.5]))
    assert_close(box[2] * box[3], torch.tensor(1.0))


def test_upright_pixels_are_corners():
    corners = UprightCode().to_pixels(boxes([0.5, 0.5, 0.25, 0.4]), WIDE)
    assert_close(corners, boxes([150.0, 30.0, 250.0, 70.0]))


def test_oriented_pixels_when_the_image_is_wide_keep_the_sides_square():
    pixels = OrientedCode().to_pixels(boxes([0.5, 0.5, 0.5, 0.25, 0.3]), WIDE)
    assert_close(pixels, boxes([200.0, 50.0, 100.0, 50.0, 0.3]))  # sqrt(100 * 400) = 200


def test_pixels_when_images_differ_in_size_follow_each():
    sizes = torch.tensor([[100.0, 400.0], [10.0, 20.0]])
    corners = UprightCode().to_pixels(boxes([0.5, 0.5, 1.0, 1.0]).repeat(2, 1, 1), sizes)
    assert_close(corners[:, 0], torch.tensor([[0.0, 0, 400, 100], [0, 0, 20, 10]]))


@pytest.mark.parametrize(
    ('kind', 'box'),
    [
        ('upright', [0.4, 0.6, 0.3, 0.01]),
        ('oriented', [0.4, 0.6, 0.3, 0.1, 0.7]),
        ('oriented', [0.4, 0.6, 0.3, 0.1, -math.pi / 2]),
        ('oriented', [0.4, 0.6, 0.2, 0.2, 0.7]),
    ],
    ids=['upright', 'turned', 'at the seam', 'square'],
)
def test_zero_deltas_return_the_box(kind, box):
    box = boxes(box)
    refined = make_box_code(kind).refine(box, torch.zeros_like(box), WIDE)
    assert_close(refined, box, atol=1e-6, rtol=1e-5)


def test_upright_deltas_move_by_half_a_side_and_grow_by_powers_of_e():
    deltas = boxes([1.0, -2.0, math.log(2), math.log(0.5)])
    refined = UprightCode().refine(boxes([0.5, 0.5, 0.2, 0.1]), deltas, WIDE)
    assert_close(refined, boxes([0.6, 0.4, 0.4, 0.05]))


def test_upright_growth_when_huge_stops_at_its_limit():
    refined = UprightCode().refine(
        boxes([0.5, 0.5, 1e-4, 1e-4]), boxes([0.0, 0.0, 99.0, 99.0]), WIDE
    )
    assert_close(refined[..., 2:], boxes([0.625, 0.625]))  # 100000 / 16 times


def test_oriented_move_when_the_box_stands_upright_goes_along_its_long_side():
    # 0.5 * 200 px = 100 px, which is the whole height of the image.
    box = boxes([0.5, 0.0, 0.5, 0.25, -math.pi / 2])
    refined = OrientedCode().refine(box, boxes([-2.0, 0.0, 0.0, 0.0, 0.0]), WIDE)
    assert_close(refined, boxes([0.5, 1.0, 0.5, 0.25, -math.pi / 2]), atol=1e-5, rtol=0)


def test_oriented_growth_along_the_box_is_that_of_an_upright_one():
    sizes = torch.tensor([[64.0, 64.0]])
    deltas = boxes([0.3, -0.2, 0.4, 0.1])
    upright = UprightCode().refine(boxes([0.5, 0.4, 0.2, 0.1]), deltas, sizes)
    oriented = OrientedCode().refine(
        boxes([0.5, 0.4, 0.2, 0.1, 0.0]), torch.cat((deltas, torch.zeros(1, 1, 1)), -1), sizes
    )
    assert_close(oriented[..., :4], upright)
    assert oriented[..., 4] == 0


def test_oriented_deltas_reach_any_box_from_any_other():
    """The delta of the shape is the difference of the logarithms, in the box's own frame."""
    start, target = random_oriented(50, seed=1), random_oriented(50, seed=2)
    deltas = torch.zeros_like(start)
    for i in range(50):
        angle = start[0, i, 4].item()
        turn = torch.tensor(
            [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
        ).double()
        difference = turn.T @ (log_shape(target[0, i]) - log_shape(start[0, i])) @ turn
        deltas[0, i, 2:] = torch.stack((difference[0, 0], difference[1, 1], difference[0, 1]))
    refined = OrientedCode().refine(start, deltas, torch.tensor([[64.0, 64.0]]))
    assert_close(refined[..., 2:], target[..., 2:], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize('angle', [30, 90, 180])
def test_oriented_deltas_when_the_world_turns_turn_along(angle):
    code, sizes = OrientedCode(), torch.tensor([[64.0, 64.0]])
    box = random_oriented(20)
    deltas = torch.randn(box.shape, generator=torch.Generator().manual_seed(3)) * 0.3
    whole = turned(code.refine(box, deltas, sizes), angle * DEGREE)
    refined = code.refine(turned(box, angle * DEGREE), deltas, sizes)
    assert_close(refined[..., :4], whole[..., :4], atol=1e-5, rtol=1e-4)
    assert_close((2 * refined[..., 4]).cos(), (2 * whole[..., 4]).cos(), atol=1e-4, rtol=0)
    assert_close((2 * refined[..., 4]).sin(), (2 * whole[..., 4]).sin(), atol=1e-4, rtol=0)


def test_oriented_angle_when_turned_past_the_seam_stays_in_its_range():
    # log(0.4 / 0.1) of difference between the sides: this delta turns by half a right angle.
    difference = math.log(4) / 2
    box = boxes([0.5, 0.5, 0.4, 0.1, 80 * DEGREE])
    deltas = boxes([0.0, 0.0, -difference, difference, difference])
    refined = OrientedCode().refine(box, deltas, torch.tensor([[64.0, 64.0]]))
    assert_close(refined, boxes([0.5, 0.5, 0.4, 0.1, -55 * DEGREE]), atol=1e-5, rtol=1e-5)


def test_oriented_deltas_when_huge_give_finite_boxes():
    box, sizes = boxes([0.5, 0.5, 0.4, 0.1, 1.0]), torch.tensor([[64.0, 64.0]])
    for sign in (1, -1, 1, 1, -1):
        box = OrientedCode().refine(box, torch.full((1, 1, 5), 1e6 * sign), sizes)
        assert box.isfinite().all()


def test_oriented_gradient_when_the_box_is_square_is_finite():
    deltas = torch.zeros(1, 2, 5, requires_grad=True)
    box = boxes([0.5, 0.5, 0.2, 0.2, 0.3], [0.5, 0.5, 0.4, 0.1, 0.3])
    OrientedCode().refine(box, deltas, WIDE).sum().backward()
    assert deltas.grad.isfinite().all()
    assert (deltas.grad[0, 1] != 0).all()
