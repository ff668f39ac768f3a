"""Which proposals stand for which object: several each, as many as fit it well.

Source: Chen et al., DiffusionDet, arXiv 2211.09788; Ge et al., OTA, arXiv 2103.14259, and its
simplification in YOLOX, arXiv 2107.08430.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
import torch.nn.functional as F

from training.fusion_detr.matcher import Match

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thermal_perception.models.denoising import Target
    from training.e2e_mfd.geometry import BoxGeometry

_ALPHA, _GAMMA = 0.25, 2
_OUTSIDE_OBJECT = 100.0  # centre not in the object it is compared with
_OUTSIDE_ALL = 10_000.0  # centre neither in nor near any object
_NEAR = 2.5  # neighbourhood of an object, in sides to each side of its centre, as released
_MOST = 5  # proposals per object at most


class Costs(NamedTuple):
    """What it costs to give proposals to objects, (N, M), and how much they overlap, (N, M)."""

    cost: Tensor
    iou: Tensor


@dataclass(frozen=True)
class ProposalAssigner:
    """Gives every object the proposals that are cheapest for it.

    Their number is the sum of the object's best five IoUs, rounded down, at least one. The cost
    is that of the loss, with a penalty for proposals whose centre is not in the object and a
    larger one for those far from all objects.

    Attributes:
        geometry: measures of boxes.
        class_cost: weight of the focal cost.
        distance_cost: weight of the distance of boxes.
        giou_cost: weight of the negative generalised IoU.
    """

    geometry: BoxGeometry
    class_cost: float = 2.0
    distance_cost: float = 5.0
    giou_cost: float = 2.0

    @torch.no_grad()
    def __call__(self, logits: Tensor, boxes: Tensor, target: Target, image_size: Tensor) -> Match:
        """Assign the proposals of one image.

        Args:
            logits: (N, K).
            boxes: (N, V), normalised.
            target: its M objects, boxes (M, V).
            image_size: (2,) height and width of the unpadded image, pixels.

        Returns:
            Proposals, each at most once, and the object of each. Every object has one, unless
            there are more objects than proposals.

        Raises:
            FloatingPointError: if a prediction is not finite.
        """
        if len(target.labels) == 0:
            empty = target.labels.new_zeros(0)
            return Match(empty, empty)
        found = self.geometry.place(boxes.float(), image_size)
        true = self.geometry.place(target.boxes, image_size)
        cost, iou = self.costs(logits.float(), found, target.labels, true)
        if not bool(torch.isfinite(cost).all()):
            raise FloatingPointError('assignment cost: found NaN or Inf, expected finite numbers')
        owner = torch.from_numpy(distribute(cost.cpu().numpy(), how_many(iou).cpu().numpy()))
        query = (owner >= 0).nonzero()[:, 0]
        return Match(query.to(cost.device), owner[query].to(cost.device))

    def costs(self, logits: Tensor, found: Tensor, labels: Tensor, true: Tensor) -> Costs:
        """Compare logits (N, K) and placed boxes (N, V) with M labels and placed boxes (M, V)."""
        found, true = found[:, None], true[None]
        inside = self.geometry.holds(true, found[..., :2], 0.5)
        near = self.geometry.holds(true, found[..., :2], _NEAR)
        far_from_all = ~(inside | near).any(1, keepdim=True)
        overlap = self.geometry.overlap(found, true)
        cost = (
            self.class_cost * focal_cost(logits)[:, labels]
            + self.distance_cost * self.geometry.distance(found, true)
            - self.giou_cost * overlap.giou
            + _OUTSIDE_OBJECT * ~(inside & near)
            + _OUTSIDE_ALL * far_from_all
        )
        return Costs(cost, overlap.iou)


def focal_cost(logits: Tensor) -> Tensor:
    """Return by how much the focal loss of each logit rises if its class is the true one."""
    p = logits.sigmoid()
    positive = _ALPHA * (1 - p) ** _GAMMA * F.softplus(-logits)
    negative = (1 - _ALPHA) * p**_GAMMA * F.softplus(logits)
    return positive - negative


def how_many(iou: Tensor) -> Tensor:
    """Return (M,) int64 numbers of proposals that objects want, of IoUs (N, M)."""
    best = iou.topk(min(_MOST, len(iou)), dim=0).values
    return best.sum(0).long().clamp(min=1)


def distribute(cost: NDArray[np.float32], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    """Give proposals to objects.

    Each object asks for its cheapest ones; a proposal asked for more than once goes to the object
    it is cheapest for. Objects left with nothing take the cheapest proposal that nobody has, or
    if there is none, one of an object that keeps others.

    Args:
        cost: (N, M), finite.
        wanted: (M,) proposals each object asks for, 1..N.

    Returns:
        (N,) object of each proposal, -1 for none.
    """
    rank = cost.argsort(axis=0, kind='stable').argsort(axis=0, kind='stable')
    asked = np.where(rank < wanted, cost, np.inf)
    owner = np.where(np.isfinite(asked).any(1), asked.argmin(1), -1)
    objects = cost.shape[1]
    while True:
        held = np.bincount(owner[owner >= 0], minlength=objects)
        free = owner < 0 if (owner < 0).any() else held[owner] > 1
        if held.all() or not free.any():
            return owner
        open_pairs = np.where(free[:, None] & (held == 0), cost, np.inf)
        proposal, empty = np.unravel_index(open_pairs.argmin(), cost.shape)
        owner[proposal] = empty
