"""Maths of boxes at any angle, on tensors.

A box is (cx, cy, w, h, angle): centre, sides, and by how many radians the width is turned from x
towards y, which is clockwise on the screen. Centre and sides have one unit, the same along both
axes. One rectangle has many such descriptions: a half turn changes nothing, and neither does a
quarter turn that swaps the sides. Nothing here but `long_side_first` depends on which is used.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

_TINY = 1e-12


def wrap_angle(angle: Tensor) -> Tensor:
    """Return the same directions of a line, in radians, in [-pi/2, pi/2)."""
    wrapped = torch.remainder(angle + math.pi / 2, math.pi) - math.pi / 2
    return torch.where(wrapped >= math.pi / 2, wrapped - math.pi, wrapped)  # it was rounded up


def long_side_first(boxes_cxcywha: Tensor) -> Tensor:
    """Describe boxes (..., 5) by long side, short side and the long one's angle, wrapped."""
    centre, sides, angle = boxes_cxcywha.split((2, 2, 1), dim=-1)
    tall = sides[..., :1] < sides[..., 1:]
    sides = torch.where(tall, sides.flip(-1), sides)
    angle = torch.where(tall, angle + math.pi / 2, angle)
    return torch.cat((centre, sides, wrap_angle(angle)), dim=-1)


def rotated_corners(boxes_cxcywha: Tensor) -> Tensor:
    """Return the corners (..., 4, 2) x, y of boxes (..., 5), the first at minus w, minus h."""
    corners = _corners(*boxes_cxcywha.unbind(-1))
    return torch.stack([torch.stack(corner, dim=-1) for corner in corners], dim=-2)


def rotated_hulls(boxes_cxcywha: Tensor) -> Tensor:
    """Return the least upright boxes (..., 4) xyxy around boxes (..., 5)."""
    cx, cy, w, h, angle = boxes_cxcywha.unbind(-1)
    half_w, half_h = w.clamp(min=0) / 2, h.clamp(min=0) / 2
    cos, sin = angle.cos().abs(), angle.sin().abs()
    x, y = half_w * cos + half_h * sin, half_w * sin + half_h * cos
    return torch.stack((cx - x, cy - y, cx + x, cy + y), dim=-1)


def elementwise_rotated_iou(a_cxcywha: Tensor, b_cxcywha: Tensor) -> Tensor:
    """Return (...) IoU in 0..1 of box i of (..., 5) with box i of (..., 5).

    Exact, and differentiable wherever no corner of one box lies on a side of the other. Boxes with
    a negative side count as empty, as in `models.boxes`; an empty box overlaps nothing.
    """
    shared = _intersection(a_cxcywha, b_cxcywha)
    union = _area(a_cxcywha) + _area(b_cxcywha) - shared
    return shared / union.clamp(min=_TINY)


def pairwise_rotated_iou(a_cxcywha: Tensor, b_cxcywha: Tensor) -> Tensor:
    """Return (..., N, M) IoU of every box of (..., N, 5) with every box of (..., M, 5)."""
    return elementwise_rotated_iou(a_cxcywha[..., :, None, :], b_cxcywha[..., None, :, :])


def seamless(boxes_cxcywha: Tensor) -> Tensor:
    """Describe boxes (..., 5) by five numbers that move little whenever the box moves little.

    They are cx, cy and, as a point, the root of the covariance of a Gaussian whose standard
    deviations are half the sides, R diag(w / 2, h / 2) R^T with R the turn by the angle a:

        (w + h, (w - h) cos 2a, (w - h) sin 2a) / sqrt 8

    All descriptions of a box give the same numbers, and their Euclidean distance is that of
    centres and matrices. For upright boxes it is the one of (x1, y1, x2, y2), over sqrt 2.

    It is the Gaussian Wasserstein distance (GWD; Yang et al., arXiv 2101.11952) of boxes that are
    parallel, and at most sqrt 2 times as much of others (the root-Euclidean distance of Dryden et
    al., arXiv 0910.1656). GWD itself takes the root of a difference of nearly equal numbers, which
    is noise near the goal. Beside the IoU, which knows no units, this is to be what L1 is for
    upright boxes: a length, of boxes without area too, whose pull is as strong from afar. KLD
    and ProbIoU (arXiv 2106.01883, 2106.06072) divide by areas instead. As for all of these, a
    square is the same at any angle; the IoU tells its angles apart.

    Args:
        boxes_cxcywha: sides not negative.
    """
    cx, cy, w, h, angle = boxes_cxcywha.unbind(-1)
    size, elongation = (w + h) / math.sqrt(8), (w - h) / math.sqrt(8)
    along, across = elongation * (2 * angle).cos(), elongation * (2 * angle).sin()
    return torch.stack((cx, cy, size, along, across), dim=-1)


def elementwise_distance(a_cxcywha: Tensor, b_cxcywha: Tensor) -> Tensor:
    """Return (...) distances, see `seamless`, of box i of (..., 5) from box i of (..., 5).

    In the unit of the boxes: a shift by d, or a side longer by 2d, is a distance of d, where L1 of
    (x1, y1, x2, y2) says 2d. The gradient is finite everywhere, and 0 where boxes are equal.
    """
    return torch.linalg.vector_norm(seamless(a_cxcywha) - seamless(b_cxcywha), dim=-1)


def pairwise_distance(a_cxcywha: Tensor, b_cxcywha: Tensor) -> Tensor:
    """Return (..., N, M) distances of every box of (..., N, 5) from every box of (..., M, 5)."""
    return elementwise_distance(a_cxcywha[..., :, None, :], b_cxcywha[..., None, :, :])


def rotated_nms(boxes_cxcywha: Tensor, scores: Tensor, labels: Tensor, *, iou: float) -> Tensor:
    """Choose boxes that no better chosen one of their class overlaps by more than `iou`.

    Args:
        boxes_cxcywha: (N, 5).
        scores: (N,).
        labels: (N,) classes.
        iou: 0..1.

    Returns:
        (K,) int64 indices of the chosen boxes, best first.
    """
    order = scores.argsort(descending=True, stable=True)
    repeats = _repeats(boxes_cxcywha[order].detach(), labels[order], iou).cpu()
    chosen = torch.ones(len(order), dtype=torch.bool)
    for better in repeats.any(1).nonzero()[:, 0].tolist():
        if chosen[better]:
            chosen &= ~repeats[better]
    return order[chosen.to(order.device)]


def _repeats(boxes: Tensor, labels: Tensor, iou: float) -> Tensor:
    """Return (N, N) bool: box, best first, and worse ones of its class that repeat it."""
    hulls = rotated_hulls(boxes)
    starts = torch.maximum(hulls[:, None, :2], hulls[None, :, :2])
    ends = torch.minimum(hulls[:, None, 2:], hulls[None, :, 2:])
    near = (starts < ends).all(-1) & (labels[:, None] == labels)
    better, worse = near.triu(1).nonzero().unbind(1)
    repeats = torch.zeros_like(near)
    repeats[better, worse] = elementwise_rotated_iou(boxes[better], boxes[worse]) > iou
    return repeats


def _area(boxes: Tensor) -> Tensor:
    return boxes[..., 2].clamp(min=0) * boxes[..., 3].clamp(min=0)


def _corners(
    cx: Tensor, cy: Tensor, w: Tensor, h: Tensor, angle: Tensor
) -> list[tuple[Tensor, Tensor]]:
    """Return x and y, (...) each, of four corners in the order that turns x to y."""
    half_w, half_h = w.clamp(min=0) / 2, h.clamp(min=0) / 2
    cos, sin = angle.cos(), angle.sin()
    signs = ((-1, -1), (1, -1), (1, 1), (-1, 1))
    return [
        (cx + i * half_w * cos - k * half_h * sin, cy + i * half_w * sin + k * half_h * cos)
        for i, k in signs
    ]


def _intersection(a: Tensor, b: Tensor) -> Tensor:
    """Return the shared areas (...) of boxes (..., 5) that broadcast.

    With b along the axes, a reaches from one y to another at each x; held within b, their
    difference is what the boxes share there. Its integral over the x within b is taken side by
    side of a, which lie above and below. So no corner has to be found, sorted or told from one
    that touches, and nothing jumps where sides coincide.
    """
    half_w, half_h = (b[..., 2:4].clamp(min=0) / 2).unbind(-1)
    corners = _corners(*_seen_from(a, b))
    sides = zip(corners, corners[1:] + corners[:1])
    shares = [_between_side_and_axis(*side, half_w, half_h) for side in sides]
    return torch.stack(shares).sum(0).clamp(min=0)


def _seen_from(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return cx, cy, w, h and angle of a, from the centre of b and along its sides."""
    x, y, w, h, angle = a.unbind(-1)
    dx, dy, turn = x - b[..., 0], y - b[..., 1], b[..., 4]
    cos, sin = turn.cos(), turn.sin()
    return dx * cos + dy * sin, dy * cos - dx * sin, w, h, angle - turn


def _between_side_and_axis(
    start: tuple[Tensor, Tensor], end: tuple[Tensor, Tensor], half_w: Tensor, half_h: Tensor
) -> Tensor:
    """Return the signed area (...) between a line and the x axis, held within -half to half."""
    (x0, y0), (x1, y1) = start, end
    left, right = _hold(x0, half_w), _hold(x1, half_w)
    run = x1 - x0
    slope = (y1 - y0) / torch.where(run.abs() < _TINY, _TINY, run)
    enter, leave = y0 + (left - x0) * slope, y0 + (right - x0) * slope
    # A line that is wholly beside b has no width within it, wherever it would enter and leave.
    return (left - right) * _mean_held(enter, leave, half_h)


def _mean_held(start: Tensor, end: Tensor, half: Tensor) -> Tensor:
    """Return the mean of numbers from `start` to `end`, each held within -half to half."""
    low, high = torch.minimum(start, end), torch.maximum(start, end)
    span = (high - low).clamp(min=_TINY)
    below, above = ((-half - low) / span).clamp(0, 1), ((high - half) / span).clamp(0, 1)
    between = (_hold(start, half) + _hold(end, half)) / 2
    return half * (above - below) + (1 - above - below) * between


def _hold(value: Tensor, half: Tensor) -> Tensor:
    return value.minimum(half).maximum(-half)
