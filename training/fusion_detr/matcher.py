"""Who predicts what: exact one-to-one matching and task-aligned one-to-many assignment.

Source: Carion et al., DETR, arXiv 2005.12872; Feng et al., TOOD, arXiv 2108.07755.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, TYPE_CHECKING

from scipy.optimize import linear_sum_assignment
import torch
from torch import Tensor

from thermal_perception.models.boxes import cxcywh_to_xyxy, pairwise_giou, pairwise_iou

if TYPE_CHECKING:
    from thermal_perception.models.denoising import Target


class Match(NamedTuple):
    """Matched pairs of one image: (M,) query indices and (M,) ground-truth indices."""

    query: Tensor
    truth: Tensor


@dataclass(frozen=True)
class HungarianMatcher:
    """Assign each object to one query at the least total cost.

    Attributes:
        class_cost: weight of the classification cost.
        l1_cost: weight of the L1 distance of normalised cxcywh boxes.
        giou_cost: weight of the negative generalised IoU.
        activation: `softmax` (cost -p) or `sigmoid` (focal-shaped cost).
    """

    class_cost: float = 1.0
    l1_cost: float = 5.0
    giou_cost: float = 2.0
    activation: Literal['softmax', 'sigmoid'] = 'softmax'

    @torch.no_grad()
    def __call__(self, logits: Tensor, boxes: Tensor, target: Target) -> Match:
        """Match (Q, K[+1]) logits and (Q, 4) cxcywh boxes of one image with its objects."""
        if len(target.labels) == 0:
            empty = target.labels.new_zeros(0)
            return Match(empty, empty)
        cost = self.cost(logits.float(), boxes.float(), target)
        if not bool(torch.isfinite(cost).all()):
            raise FloatingPointError('matching cost: found NaN or Inf, expected finite numbers')
        query, truth = linear_sum_assignment(cost.cpu().numpy())
        device = logits.device
        return Match(torch.as_tensor(query, device=device), torch.as_tensor(truth, device=device))

    def cost(self, logits: Tensor, boxes: Tensor, target: Target) -> Tensor:
        """Return the (Q, N) cost matrix."""
        l1 = torch.cdist(boxes, target.boxes, p=1)
        giou = pairwise_giou(cxcywh_to_xyxy(boxes), cxcywh_to_xyxy(target.boxes))
        return (
            self.class_cost * self._class_cost(logits)[:, target.labels]
            + self.l1_cost * l1
            - self.giou_cost * giou
        )

    def _class_cost(self, logits: Tensor) -> Tensor:
        if self.activation == 'softmax':
            return -logits.softmax(-1)
        p = logits.sigmoid()
        positive = 0.25 * (1 - p) ** 2 * -(p + 1e-8).log()
        negative = 0.75 * p**2 * -(1 - p + 1e-8).log()
        return positive - negative


class DenseAssignment(NamedTuple):
    """One-to-many assignment of one image.

    Attributes:
        token: (M,) indices of positive tokens, each at most once.
        truth: (M,) object of each.
        quality: (M,) float target score in 0..1.
    """

    token: Tensor
    truth: Tensor
    quality: Tensor


@dataclass(frozen=True)
class TaskAlignedAssigner:
    """Give each object the tokens that classify and locate it best.

    Candidates lie within the object or `radius` anchor sides of its centre, so that an object
    smaller than a cell still has some. Among them the `top` best by score^alpha * IoU^beta are
    positive; a token wanted by several objects goes to the one it overlaps most.
    """

    top: int = 8
    alpha: float = 1.0
    beta: float = 4.0
    radius: float = 0.5

    @torch.no_grad()
    def __call__(
        self,
        scores: Tensor,
        boxes: Tensor,
        anchors: Tensor,
        target: Target,
        padding: Tensor | None = None,
    ) -> DenseAssignment:
        """Assign the tokens of one image to its objects.

        Args:
            scores: (N, K) in 0..1.
            boxes: (N, 4) cxcywh predictions.
            anchors: (N, 4) cxcywh the predictions started from.
            target: objects of the image.
            padding: (N,) bool, True for tokens that cannot be positive; or None.
        """
        if len(target.labels) == 0:
            empty = target.labels.new_zeros(0)
            return DenseAssignment(empty, empty, scores.new_zeros(0))
        near = self._near(anchors, target)  # [N, M]
        if padding is not None:
            near &= ~padding[:, None]
        iou = pairwise_iou(cxcywh_to_xyxy(boxes), cxcywh_to_xyxy(target.boxes))
        fit = scores[:, target.labels].clamp(min=1e-4) ** self.alpha * (iou + 1e-3) ** self.beta
        fit = fit.masked_fill(~near, 0.0)
        chosen = self._best(fit)
        chosen &= torch.nn.functional.one_hot(
            iou.masked_fill(~chosen, -1.0).argmax(1), iou.shape[1]
        ).bool()
        token, truth = chosen.nonzero(as_tuple=True)
        return DenseAssignment(token, truth, self._quality(fit, iou, chosen)[token, truth])

    def _near(self, anchors: Tensor, target: Target) -> Tensor:
        distance = (anchors[:, None, :2] - target.boxes[None, :, :2]).abs()
        reach = torch.maximum(target.boxes[None, :, 2:] / 2, anchors[:, None, 2:] * self.radius)
        return (distance < reach).all(-1)

    def _best(self, fit: Tensor) -> Tensor:
        count = min(self.top, len(fit))
        values, index = fit.topk(count, dim=0)
        return torch.zeros_like(fit, dtype=torch.bool).scatter_(0, index, values > 0)

    @staticmethod
    def _quality(fit: Tensor, iou: Tensor, chosen: Tensor) -> Tensor:
        """Scale the fit of each object's tokens so that its best equals its best IoU."""
        fit = fit * chosen
        best = fit.amax(0).clamp(min=1e-12)
        return fit / best * (iou * chosen).amax(0)
