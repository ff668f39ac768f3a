"""Denoising queries: noised ground truth that the decoder learns to repair, in training only.

Each group holds a positive copy (noise below half a box) and a negative one (half to one box) of
every object. Groups do not see each other, and matching queries do not see any of them.

Source: Li et al., DN-DETR, arXiv 2203.01305; Zhang et al., DINO, arXiv 2203.03605.
"""

from __future__ import annotations

from typing import NamedTuple, TYPE_CHECKING

import torch
from torch import Tensor

from thermal_perception.models.boxes import cxcywh_to_xyxy, xyxy_to_cxcywh

if TYPE_CHECKING:
    from collections.abc import Sequence

LABEL_FLIP = 0.25


class Target(NamedTuple):
    """Ground truth of one image.

    Attributes:
        labels: (N,) int64.
        boxes: (N, 4) float32 cxcywh, relative to the unpadded image.
    """

    labels: Tensor
    boxes: Tensor


class DenoisingQueries(NamedTuple):
    """Noised copies for a batch; D = groups * 2 * (most objects in an image).

    Attributes:
        labels: (B, D) int64, some flipped.
        boxes: (B, D, 4) cxcywh, noised.
        target_index: (B, D) int64 object each query repairs; -1 for negatives and fillers.
        filler: (B, D) bool, True where an image has fewer objects than the batch's most.
        group_size: 2 * (most objects in an image).
        groups: number of groups.
    """

    labels: Tensor
    boxes: Tensor
    target_index: Tensor
    filler: Tensor
    group_size: int
    groups: int

    def blocked(self, matching_queries: int) -> Tensor:
        """Return the (D + Q, D + Q) bool self-attention mask, True where forbidden."""
        d = self.group_size * self.groups
        group = torch.arange(d + matching_queries, device=self.labels.device) // self.group_size
        group[d:] = self.groups  # the matching queries form the last group
        other = group[:, None] != group[None]
        other[:d, d:] = False  # noised queries may look at matching ones, not the other way round
        return other


def make_denoising_queries(
    targets: Sequence[Target], num_classes: int, budget: int
) -> DenoisingQueries | None:
    """Draw noised copies of the targets; None when the batch holds no object."""
    most = max((len(t.labels) for t in targets), default=0)
    if most == 0:
        return None
    groups = max(1, budget // most)
    labels, boxes, index, filler = _stack(targets, most)
    copies = 2 * groups
    labels, boxes = labels.repeat(1, copies), boxes.repeat(1, copies, 1)  # [batch, D(, 4)]
    index, filler = index.repeat(1, copies), filler.repeat(1, copies)
    negative = (torch.arange(copies * most, device=labels.device) // most) % 2 == 1
    return DenoisingQueries(
        _flip(labels, num_classes),
        _shake(boxes, negative),
        index.masked_fill(negative[None] | filler, -1),
        filler,
        2 * most,
        groups,
    )


def _stack(targets: Sequence[Target], most: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    device = targets[0].labels.device
    labels = torch.zeros(len(targets), most, dtype=torch.int64, device=device)
    boxes = torch.full((len(targets), most, 4), 0.5, device=device)
    filler = torch.ones(len(targets), most, dtype=torch.bool, device=device)
    for b, target in enumerate(targets):
        n = len(target.labels)
        labels[b, :n], boxes[b, :n], filler[b, :n] = target.labels, target.boxes, False
    index = torch.arange(most, device=device).expand(len(targets), -1)
    return labels, boxes, index, filler


def _flip(labels: Tensor, num_classes: int) -> Tensor:
    flip = torch.rand(labels.shape, device=labels.device) < LABEL_FLIP
    return torch.where(flip, torch.randint_like(labels, num_classes), labels)


def _shake(boxes: Tensor, negative: Tensor) -> Tensor:
    half = boxes[..., 2:].repeat(1, 1, 2) / 2  # [batch, D, 4]
    amount = torch.rand_like(boxes) + negative[None, :, None]  # 0..1, or 1..2 for negatives
    sign = torch.randint_like(boxes, 2) * 2 - 1
    corners = (cxcywh_to_xyxy(boxes) + sign * amount * half).clamp(0, 1)
    low = torch.minimum(corners[..., :2], corners[..., 2:])
    high = torch.maximum(corners[..., :2], corners[..., 2:])
    return xyxy_to_cxcywh(torch.cat((low, high), -1)).clamp(min=1e-4)
