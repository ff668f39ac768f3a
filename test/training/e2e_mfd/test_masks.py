from __future__ import annotations

import math

import torch

from thermal_perception.models.denoising import Target
from training.e2e_mfd.masks import object_mask


def target(boxes, values=4):
    boxes = torch.tensor(boxes).view(-1, values)
    return Target(torch.zeros(len(boxes), dtype=torch.int64), boxes)


def mask(truth, size, shape):
    return object_mask([truth], torch.tensor([size], dtype=torch.float32), shape)[0, 0]


def test_a_mask_holds_the_pixels_whose_centres_are_in_the_box():
    found = mask(target([[0.5, 0.25, 0.5, 0.5]]), (4, 8), (4, 8))
    assert found.int().tolist() == [[0, 0, 1, 1, 1, 1, 0, 0]] * 2 + [[0] * 8] * 2


def test_boxes_are_relative_to_the_image_without_its_padding():
    found = mask(target([[0.5, 0.5, 1.0, 1.0]]), (2, 3), (4, 4))
    assert found.int().tolist() == [[1, 1, 1, 0], [1, 1, 1, 0], [0] * 4, [0] * 4]


def test_the_mask_is_the_union_of_objects():
    found = mask(target([[0.25, 0.5, 0.5, 1.0], [0.5, 0.5, 0.5, 1.0]]), (1, 4), (1, 4))
    assert found.int().tolist() == [[1, 1, 1, 0]]


def test_no_object_leaves_the_mask_empty():
    found = object_mask([target([]), target([])], torch.full((2, 2), 4.0), (4, 4))
    assert found.shape == (2, 1, 4, 4)
    assert not found.any()


def test_oriented_boxes_are_drawn_at_their_angle():
    side = math.sqrt(100 * 200)
    turned = target([[0.5, 0.5, 80 / side, 10 / side, math.atan2(3, 4)]], 5)
    found = mask(turned, (100, 200), (100, 200))
    assert found[50 + 18, 100 + 24] and found[50 - 18, 100 - 24]
    assert not found[50 + 18, 100 - 24]
    assert abs(int(found.sum()) - 800) < 20


def test_oriented_boxes_along_the_axes_are_drawn_as_upright_ones():
    upright = mask(target([[0.41, 0.61, 0.3, 0.22]]), (50, 50), (64, 64))
    oriented = mask(target([[0.41, 0.61, 0.3, 0.22, 0.0]], 5), (50, 50), (64, 64))
    assert torch.equal(upright, oriented)
