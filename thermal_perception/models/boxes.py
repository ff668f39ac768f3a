"""Box maths on tensors: the one home of it. Layout and unit are in every name.

Source: shapes and conventions follow `torchvision.ops`; GIoU: Rezatofighi et al., CVPR 2019.
"""

from __future__ import annotations

import torch
from torch import Tensor

from thermal_perception.models.precise import precise

_EPS = 1e-7


def cxcywh_to_xyxy(boxes: Tensor) -> Tensor:
    """Convert (..., 4) centre and size to corners, in the same unit."""
    cx, cy, w, h = boxes.unbind(-1)
    return torch.stack((cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2), dim=-1)


def xyxy_to_cxcywh(boxes: Tensor) -> Tensor:
    """Convert (..., 4) corners to centre and size, in the same unit."""
    x1, y1, x2, y2 = boxes.unbind(-1)
    return torch.stack(((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1), dim=-1)


def area(boxes_xyxy: Tensor) -> Tensor:
    """Return (...) areas; boxes with a negative side count as empty."""
    x1, y1, x2, y2 = boxes_xyxy.unbind(-1)
    return _rectangle(x1, y1, x2, y2)


def _rectangle(x1: Tensor, y1: Tensor, x2: Tensor, y2: Tensor) -> Tensor:
    return (x2 - x1).clamp(min=0) * (y2 - y1).clamp(min=0)


# Of many boxes with many, coordinates stay apart: compilers fuse what never was in one tensor.
def _intersection(a: Tensor, b: Tensor) -> Tensor:
    (ax1, ay1, ax2, ay2), (bx1, by1, bx2, by2) = a.unbind(-1), b.unbind(-1)
    top_left = torch.maximum(ax1, bx1), torch.maximum(ay1, by1)
    return _rectangle(*top_left, torch.minimum(ax2, bx2), torch.minimum(ay2, by2))


def _hull(a: Tensor, b: Tensor) -> Tensor:
    (ax1, ay1, ax2, ay2), (bx1, by1, bx2, by2) = a.unbind(-1), b.unbind(-1)
    top_left = torch.minimum(ax1, bx1), torch.minimum(ay1, by1)
    return _rectangle(*top_left, torch.maximum(ax2, bx2), torch.maximum(ay2, by2))


def _iou_and_union(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    intersection = _intersection(a, b)
    union = area(a) + area(b) - intersection
    return intersection / union.clamp(min=_EPS), union


def _giou(a: Tensor, b: Tensor) -> Tensor:
    iou, union = _iou_and_union(a, b)
    hull = _hull(a, b)
    return iou - (hull - union) / hull.clamp(min=_EPS)


def elementwise_iou(a_xyxy: Tensor, b_xyxy: Tensor) -> Tensor:
    """Return (N,) IoU of box i of (N, 4) with box i of (N, 4)."""
    return _iou_and_union(a_xyxy, b_xyxy)[0]


def elementwise_giou(a_xyxy: Tensor, b_xyxy: Tensor) -> Tensor:
    """Return (N,) generalised IoU in (-1, 1] of box i with box i."""
    return _giou(a_xyxy, b_xyxy)


def pairwise_iou(a_xyxy: Tensor, b_xyxy: Tensor) -> Tensor:
    """Return (..., N, M) IoU of every box of (..., N, 4) with every box of (..., M, 4)."""
    return _iou_and_union(a_xyxy[..., :, None, :], b_xyxy[..., None, :, :])[0]


def pairwise_giou(a_xyxy: Tensor, b_xyxy: Tensor) -> Tensor:
    """Return (N, M) generalised IoU of every box with every box."""
    return _giou(a_xyxy[:, None], b_xyxy[None])


def distinct(boxes_xyxy: Tensor, iou: float, *, rounds: int = 8) -> Tensor:
    """Return (B, N) bool: which of (B, N, 4) boxes, best first, no better kept box overlaps.

    Greedy non-maximum suppression as a fixed number of matrix products, so that it traces and
    exports. Exact where no chain of overlapping boxes in which each suppresses the next is longer
    than `rounds`; beyond that a box far down its chain may be judged wrongly.
    """
    overlaps = pairwise_iou(boxes_xyxy, boxes_xyxy) > iou
    better = torch.ones_like(overlaps[0]).tril(-1)  # [box, box before it]
    beaten_by = (overlaps & better).to(boxes_xyxy.dtype)  # [batch, box, better box]
    kept = torch.ones_like(beaten_by[..., :1])
    for _ in range(rounds):
        kept = (beaten_by @ kept == 0).to(kept.dtype)
    return kept[..., 0].bool()


def refine(reference_cxcywh: Tensor, delta: Tensor) -> Tensor:
    """Move and stretch (..., 4) reference boxes by (..., 4) deltas relative to their own size.

    A delta means the same number of object widths at any image size, so that what was learned on
    crops holds on full frames. Sizes change by at most e^4 per step. The result is `precise`.
    """
    reference_cxcywh, delta = precise(reference_cxcywh), precise(delta)
    centre = reference_cxcywh[..., :2] + delta[..., :2] * reference_cxcywh[..., 2:]
    size = reference_cxcywh[..., 2:] * delta[..., 2:].clamp(-4.0, 4.0).exp()
    return torch.cat((centre, size.clamp(1e-4, 2.0)), dim=-1)
