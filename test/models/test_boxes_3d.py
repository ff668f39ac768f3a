"""How boxes are written relative to anchors."""

from __future__ import annotations

import math

import pytest
import torch

from thermal_perception.models.boxes_3d import (
    decode_boxes,
    direction_bin,
    encode_boxes,
    nearest_upright,
    with_direction,
)

ANCHOR = torch.tensor([10.0, 2.0, -1.78, 3.9, 1.6, 1.56, 0.0])


def test_by_hand():
    # Diagonal sqrt(3.9^2 + 1.6^2) = 4.215447; the box's centre is 0.5 above the anchor's.
    box = torch.tensor([12.0, 1.0, -1.28, 3.9, 3.2, 1.56, 0.3])
    expected = [2 / 4.215447, -1 / 4.215447, 0.5 / 1.56, 0.0, math.log(2), 0.0, 0.3]
    assert encode_boxes(box, ANCHOR).tolist() == pytest.approx(expected, abs=1e-6)


def test_a_higher_box_on_the_same_ground_has_a_higher_centre():
    box = torch.tensor([10.0, 2.0, -1.78, 3.9, 1.6, 3.56, 0.0])
    assert float(encode_boxes(box, ANCHOR)[2]) == pytest.approx(1.0 / 1.56)


def test_round_trip():
    generator = torch.Generator().manual_seed(0)
    boxes = torch.rand(50, 7, generator=generator) * 3 + 0.5
    anchors = torch.rand(50, 7, generator=generator) * 3 + 0.5
    back = decode_boxes(encode_boxes(boxes, anchors), anchors)
    torch.testing.assert_close(back, boxes, atol=1e-5, rtol=0)


def test_directions_round_trip():
    yaws = torch.linspace(-math.pi + 1e-3, math.pi, 101, dtype=torch.float64)
    for turned in (yaws, yaws + math.pi, yaws - 3 * math.pi):
        back = with_direction(turned, direction_bin(yaws))
        off = torch.remainder(back - yaws + 1e-9, 2 * math.pi)
        assert float(off.max()) < 1e-6


def test_opposite_headings_have_different_directions():
    yaws = torch.tensor([-1.0, 0.0, 0.5, 1.4, 2.0, 3.0])
    assert (direction_bin(yaws) != direction_bin(yaws + math.pi)).all()
    assert direction_bin(torch.tensor([0.0, math.pi])).tolist() == [0, 1]


@pytest.mark.parametrize(
    ('yaw', 'half'),
    [(0.0, (2, 1)), (0.7, (2, 1)), (0.9, (1, 2)), (1.57, (1, 2)), (3.1, (2, 1)), (-1.2, (1, 2))],
)
def test_nearest_upright(yaw, half):
    box = torch.tensor([5.0, 7.0, 0.0, 4.0, 2.0, 1.5, yaw])
    dx, dy = half
    assert nearest_upright(box).tolist() == [5 - dx, 7 - dy, 5 + dx, 7 + dy]
