"""Maths of upright 3D boxes, on tensors.

A box is (x, y, z, l, w, h, yaw) in a frame with x forward, y left, z up, metres and radians: z of
the bottom, l along the heading, yaw counter-clockwise from x seen from above.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

BOX_NUMBERS = 7
_BIN_OFFSET = -math.pi / 2


def encode_boxes(boxes: Tensor, anchors: Tensor) -> Tensor:
    """Write boxes (..., 7) relative to anchors (..., 7)."""
    x, y, z, length, width, height, yaw = boxes.unbind(-1)
    xa, ya, za, la, wa, ha, ra = anchors.unbind(-1)
    diagonal = (la.square() + wa.square()).sqrt()
    return torch.stack(
        (
            (x - xa) / diagonal,
            (y - ya) / diagonal,
            (z + height / 2 - za - ha / 2) / ha,
            (length / la).log(),
            (width / wa).log(),
            (height / ha).log(),
            yaw - ra,
        ),
        -1,
    )


def decode_boxes(codes: Tensor, anchors: Tensor) -> Tensor:
    """Undo `encode_boxes`."""
    xt, yt, zt, lt, wt, ht, rt = codes.unbind(-1)
    xa, ya, za, la, wa, ha, ra = anchors.unbind(-1)
    diagonal = (la.square() + wa.square()).sqrt()
    height = ht.exp() * ha
    z = zt * ha + za + ha / 2 - height / 2
    return torch.stack(
        (xt * diagonal + xa, yt * diagonal + ya, z, lt.exp() * la, wt.exp() * wa, height, rt + ra),
        -1,
    )


def direction_bin(yaws: Tensor) -> Tensor:
    """Return 0 or 1 (int64): which half turn from -pi/2 on a heading is in."""
    turned = torch.remainder(yaws - _BIN_OFFSET, 2 * math.pi)
    return (turned / math.pi).floor().clamp(0, 1).long()


def with_direction(yaws: Tensor, bins: Tensor) -> Tensor:
    """Turn headings that may point backwards into the half turn of their bin, -pi/2 to 3 pi/2."""
    return torch.remainder(yaws - _BIN_OFFSET, math.pi) + _BIN_OFFSET + math.pi * bins


def nearest_upright(boxes: Tensor) -> Tensor:
    """Return the (..., 4) xyxy rectangles, seen from above, of boxes turned to the nearer axis."""
    x, y, _, length, width, _, yaw = boxes.unbind(-1)
    folded = torch.remainder(yaw + math.pi / 2, math.pi) - math.pi / 2
    across = folded.abs() > math.pi / 4
    along_x = torch.where(across, width, length) / 2
    along_y = torch.where(across, length, width) / 2
    return torch.stack((x - along_x, y - along_y, x + along_x, y + along_y), -1)
