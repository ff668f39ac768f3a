"""What assignment and losses ask of boxes, for upright and for oriented ones.

Distances and overlaps of upright boxes do not change when one axis is scaled. Those of oriented
boxes do, so that these are first brought into a unit that is the same along both axes.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, Protocol

import torch
from torch import Tensor

from thermal_perception.models.boxes import cxcywh_to_xyxy, elementwise_giou, elementwise_iou
from thermal_perception.models.rotated_boxes import (
    elementwise_distance,
    elementwise_rotated_iou,
    rotated_corners,
)

_EPS = 1e-7


class Overlap(NamedTuple):
    """How much boxes overlap others, each (...).

    Attributes:
        iou: intersection over union, 0..1.
        giou: generalised IoU: 1 where boxes are equal, below 0 for distant ones.
    """

    iou: Tensor
    giou: Tensor


class BoxGeometry(Protocol):
    """Measures of boxes of V values each; all but `place` broadcast over leading dimensions."""

    def place(self, boxes: Tensor, image_sizes: Tensor) -> Tensor:
        """Return boxes (..., V), normalised to their image, in the unit the others want.

        Args:
            boxes: (..., V).
            image_sizes: (..., 2) height and width of the unpadded image, pixels.
        """

    def distance(self, found: Tensor, true: Tensor) -> Tensor:
        """Return (...) how far boxes (..., V) are from others, 0 where they are equal."""

    def overlap(self, found: Tensor, true: Tensor) -> Overlap:
        """Return how much boxes (..., V) overlap others."""

    def holds(self, boxes: Tensor, points: Tensor, reach: float) -> Tensor:
        """Return (...) bool, whether points (..., 2) are within `reach` sides of the centre."""


class UprightGeometry:
    """Boxes (cx, cy, w, h); the distance is the L1 distance of their corners."""

    def place(self, boxes: Tensor, image_sizes: Tensor) -> Tensor:
        """Leave boxes as they are."""
        return boxes

    def distance(self, found: Tensor, true: Tensor) -> Tensor:
        """Sum over x1, y1, x2, y2."""
        return (cxcywh_to_xyxy(found) - cxcywh_to_xyxy(true)).abs().sum(-1)

    def overlap(self, found: Tensor, true: Tensor) -> Overlap:
        """Compare areas, also with that of the least box around both."""
        corners = cxcywh_to_xyxy(found), cxcywh_to_xyxy(true)
        return Overlap(elementwise_iou(*corners), elementwise_giou(*corners))

    def holds(self, boxes: Tensor, points: Tensor, reach: float) -> Tensor:
        """Compare along both axes."""
        return ((points - boxes[..., :2]).abs() < reach * boxes[..., 2:]).all(-1)


class OrientedGeometry:
    """Boxes (cx, cy, long, short, angle); ours, the released system has no such loss.

    The distance has no seam: it is that of `rotated_boxes.seamless`, doubled, so that shifting a
    box along an axis costs what it does in the L1 distance of corners.
    """

    def place(self, boxes: Tensor, image_sizes: Tensor) -> Tensor:
        """Measure the centre by the root of the image's area, as sides already are."""
        height, width = image_sizes.unbind(-1)
        stretch = torch.stack(((width / height).sqrt(), (height / width).sqrt()), dim=-1)
        return torch.cat((boxes[..., :2] * stretch, boxes[..., 2:]), dim=-1)

    def distance(self, found: Tensor, true: Tensor) -> Tensor:
        """Double the distance of the boxes' shapes and centres."""
        return 2 * elementwise_distance(found, true)

    def overlap(self, found: Tensor, true: Tensor) -> Overlap:
        """Compare areas, exactly, also with that of the least box that lies along the true one.

        For two upright boxes this is the generalised IoU, and it is 1 for equal boxes at any
        angle, which a hull along the axes of the image would not give.
        """
        found, true = torch.broadcast_tensors(found, true)
        iou = elementwise_rotated_iou(found, true)
        areas = found[..., 2:4].prod(-1) + true[..., 2:4].prod(-1)
        union = areas / (1 + iou)
        hull = _hull_along(true, found)
        return Overlap(iou, iou - (hull - union) / hull.clamp(min=_EPS))

    def holds(self, boxes: Tensor, points: Tensor, reach: float) -> Tensor:
        """Compare along both sides."""
        seen = _turn_back(points - boxes[..., :2], boxes[..., 4])
        return (seen.abs() < reach * boxes[..., 2:4]).all(-1)


def make_geometry(boxes: Literal['upright', 'oriented']) -> BoxGeometry:
    """Return the measures of one kind of boxes."""
    return OrientedGeometry() if boxes == 'oriented' else UprightGeometry()


def _hull_along(true: Tensor, found: Tensor) -> Tensor:
    """Return (...) area of the least box along boxes (..., 5) that holds them and others."""
    corners = rotated_corners(found) - true[..., None, :2]  # [..., corner, xy]
    seen = _turn_back(corners, true[..., None, 4])
    half = true[..., 2:4] / 2
    high = torch.maximum(seen.amax(-2), half)
    low = torch.minimum(seen.amin(-2), -half)
    return (high - low).prod(-1)


def _turn_back(vectors: Tensor, angle: Tensor) -> Tensor:
    """Return vectors (..., 2) as seen in frames turned by angles (...)."""
    (x, y), cos, sin = vectors.unbind(-1), angle.cos(), angle.sin()
    return torch.stack((cos * x + sin * y, cos * y - sin * x), dim=-1)
