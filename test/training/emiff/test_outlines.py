"""Outlines of boxes in images."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from thermal_perception.geometry.transforms import T_OPTICAL_BODY
from training.emiff.outlines import draw_outlines, outline_loss, ray_loss

K = np.array([[100.0, 0, 32], [0, 100.0, 16], [0, 0, 1]])
SIZE = (32, 64)


def box(x, y, z, length, width, height):
    signs = np.array([(a, b, c) for c in (-1, 1) for a, b in ((1, 1), (1, -1), (-1, -1), (-1, 1))])
    return np.array([x, y, z]) + signs * np.array([length, width, height]) / 2


def drawn(*boxes, K=K):
    return draw_outlines(np.array(boxes).reshape(-1, 8, 3), T_OPTICAL_BODY, K, SIZE)


def test_by_hand():
    # A flat box 10 m ahead, 1.6 m wide and 0.8 m high: 16 x 8 pixels about the middle, and the
    # line that OpenCV draws around.
    outline = drawn(box(10.0, 0.0, 0.0, 1e-6, 1.6, 0.8))
    assert outline.shape == (3, 8, 16)
    assert outline.dtype == torch.float32
    assert (outline[0, 3:5, 6:10] == 1).all()
    assert float(outline[0].sum() * 16) == 17 * 9


def test_left_is_left_and_in_a_mirrored_image_right():
    left = drawn(box(10.0, 2.0, 0.0, 1e-6, 0.8, 0.8))
    columns = left[0].sum(0).nonzero()[:, 0]
    assert columns.max() < 8
    mirrored = K.copy()
    mirrored[0, 0], mirrored[0, 2] = -K[0, 0], SIZE[1] - 1 - K[0, 2]
    flipped = drawn(box(10.0, 2.0, 0.0, 1e-6, 0.8, 0.8), K=mirrored)
    assert flipped[0].sum(0).nonzero()[:, 0].min() >= 8


@pytest.mark.parametrize(
    'hidden', [box(-10.0, 0.0, 0.0, 4, 2, 1.5), box(10.0, 40.0, 0.0, 4, 2, 1.5)]
)
def test_what_is_behind_or_beside_is_not_drawn(hidden):
    assert drawn(hidden).sum() == 0
    assert drawn().sum() == 0


def test_a_box_that_reaches_behind_the_camera_shows_its_front():
    outline = drawn(box(2.0, -1.5, -0.5, 6.0, 1.0, 1.0))
    assert outline[0, :, 12:].sum() > 0
    assert torch.isfinite(outline).all()


def test_the_loss_asks_the_first_channel_alone():
    outlines = torch.zeros(2, 3, 4, 4)
    outlines[:, 0, 1, 2] = 1.0
    maps = torch.zeros(2, 3, 4, 4, requires_grad=True)
    outline_loss(maps, outlines).backward()
    assert maps.grad[:, 1:].abs().sum() == 0
    assert (maps.grad[:, 0, 1, 2] < 0).all()
    right = torch.zeros(2, 3, 4, 4)
    right[:, 0] = -10.0
    right[:, 0, 1, 2] = 20.0
    assert outline_loss(right, outlines) < 1e-4


def test_distances_are_those_of_the_nearest_object_whatever_the_order():
    near, far = box(10.0, 0.0, 0.0, 2.0, 0.8, 0.8), box(20.0, 0.0, 0.0, 4.0, 3.2, 3.2)
    for boxes in ((near, far), (far, near)):
        share, begin, end = drawn(*boxes)
        assert (begin[4, 8], end[4, 8]) == (9.0, 11.0)
        assert (begin[4, 6], end[4, 6]) == (18.0, 22.0)
        assert (begin[0, 0], end[0, 0], share[0, 0]) == (0.0, 0.0, 0.0)


def test_rays_are_to_count_where_objects_are_and_not_before_or_behind():
    # Bins of 4 reach to 5.7, 16, 45 and 128 m; their middles are at 3.4, 9.5, 26.9 and 76 m.
    outlines = torch.zeros(1, 3, 1, 2)
    outlines[0, :, 0, 1] = torch.tensor([1.0, 8.0, 12.0])
    rays = torch.zeros(1, 4, 1, 2, requires_grad=True)
    loss = ray_loss(rays, outlines)
    assert loss.item() == pytest.approx(np.log(2))
    loss.backward()
    assert rays.grad[0, :, 0, 1].sign().tolist() == [1, -1, 1, 1]
    assert not rays.grad[0, :, 0, 0].any()  # nobody knows what it shows
    right = torch.tensor([-20.0, 20.0, -20.0, -20.0]).view(1, 4, 1, 1).expand(1, 4, 1, 2)
    assert ray_loss(right, outlines) < 1e-6
    assert ray_loss(right, torch.zeros(1, 3, 1, 2)) == 0
