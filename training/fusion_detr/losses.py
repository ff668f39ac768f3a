"""The training loss of Fusion DETR.

Source: Carion et al., DETR, arXiv 2005.12872; focal loss: Lin et al., arXiv 1708.02002;
varifocal loss: Zhang et al., arXiv 2008.13367.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TYPE_CHECKING

import torch
from torch import nn, Tensor
import torch.nn.functional as F

from thermal_perception.models.boxes import cxcywh_to_xyxy, elementwise_giou, elementwise_iou
from training.fusion_detr.matcher import HungarianMatcher, Match, TaskAlignedAssigner

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thermal_perception.models.denoising import DenoisingQueries, Target
    from thermal_perception.models.fusion_detr import (
        DenoisingOutput,
        DenseOutput,
        FusionDetrOutput,
    )


@dataclass(frozen=True)
class LossConfig:
    """Weights of the loss terms.

    Attributes:
        class_weight: weight of the classification term.
        l1_weight: weight of the L1 distance of normalised boxes.
        giou_weight: weight of 1 - GIoU.
        match_class: weight of the classification cost in matching.
        no_object: weight of the no-object class in the softmax loss.
        class_weights: weight of each class, for rare ones; empty means 1.
        dense_weight: weight of the one-to-many loss of the encoder's proposals.
        entropy_weight: weight of the entropy bonus of alpha_hat; 0 turns it off.
    """

    class_weight: float = 1.0
    l1_weight: float = 5.0
    giou_weight: float = 2.0
    match_class: float = 1.0
    no_object: float = 0.1
    class_weights: tuple[float, ...] = ()
    dense_weight: float = 1.0
    entropy_weight: float = 0.0


class FusionDetrCriterion(nn.Module):
    """Sum of the losses of all decoder layers, denoising queries and proposals.

    Box terms are divided by the number of objects in the (micro-)batch, at least one; pass
    `num_boxes` to use a batch-level normaliser with gradient accumulation.
    """

    def __init__(
        self, class_loss: Literal['softmax', 'focal', 'varifocal'], config: LossConfig
    ) -> None:
        """Create matcher and assigner for the kind of class loss."""
        super().__init__()
        self.class_loss, self.config = class_loss, config
        self.matcher = HungarianMatcher(
            class_cost=config.match_class,
            l1_cost=config.l1_weight,
            giou_cost=config.giou_weight,
            activation='softmax' if class_loss == 'softmax' else 'sigmoid',
        )
        self.assigner = TaskAlignedAssigner()

    def forward(
        self, output: FusionDetrOutput, targets: Sequence[Target], num_boxes: float | None = None
    ) -> dict[str, Tensor]:
        """Return the weighted terms by name; their sum is the loss."""
        count = max(num_boxes or float(sum(len(t.labels) for t in targets)), 1.0)
        layers = (*output.auxiliary, (output.logits, output.boxes))
        losses: dict[str, Tensor] = {}
        for logits, boxes in layers:
            _accumulate(losses, self._layer(logits.float(), boxes.float(), targets, count))
        if output.denoising is not None:
            noised = self._denoising(output.denoising, targets, count)
            losses.update({f'dn_{k}': v for k, v in noised.items()})
        if output.dense is not None:
            dense = self._dense(output.dense, targets)
            losses.update({f'dense_{k}': v * self.config.dense_weight for k, v in dense.items()})
        if self.config.entropy_weight and output.fusion is not None:
            p = output.fusion.alpha_hat
            log = p.clamp(min=1e-12).log()  # a weight may be zero in single precision
            losses['entropy'] = self.config.entropy_weight * (p * log).sum(-1).mean()
        return losses

    def _layer(
        self, logits: Tensor, boxes: Tensor, targets: Sequence[Target], count: float
    ) -> dict[str, Tensor]:
        matches = [self.matcher(lg, bx, t) for lg, bx, t in zip(logits, boxes, targets)]
        return self._matched(logits, boxes, targets, matches, count)

    def _matched(
        self,
        logits: Tensor,
        boxes: Tensor,
        targets: Sequence[Target],
        matches: Sequence[Match],
        count: float,
        ignore: Tensor | None = None,
    ) -> dict[str, Tensor]:
        batch = torch.cat([torch.full_like(m.query, b) for b, m in enumerate(matches)])
        query = torch.cat([m.query for m in matches])
        labels = torch.cat([t.labels[m.truth] for t, m in zip(targets, matches)])
        truth = torch.cat([t.boxes[m.truth] for t, m in zip(targets, matches)])
        found = boxes[batch, query]
        terms = self._box_terms(found, truth, count)
        iou = elementwise_iou(cxcywh_to_xyxy(found.detach()), cxcywh_to_xyxy(truth))
        terms['class'] = self.config.class_weight * self._class_term(
            logits, (batch, query), labels, iou, count, ignore
        )
        return terms

    def _box_terms(self, found: Tensor, truth: Tensor, count: float) -> dict[str, Tensor]:
        giou = elementwise_giou(cxcywh_to_xyxy(found), cxcywh_to_xyxy(truth))
        return {
            'l1': self.config.l1_weight * (found - truth).abs().sum() / count,
            'giou': self.config.giou_weight * (1 - giou).sum() / count,
        }

    def _class_term(
        self,
        logits: Tensor,
        where: tuple[Tensor, Tensor],
        labels: Tensor,
        iou: Tensor,
        count: float,
        ignore: Tensor | None,
    ) -> Tensor:
        if self.class_loss == 'softmax':
            objects = self._per_class(logits.shape[-1] - 1)
            weights = logits.new_tensor((*objects, self.config.no_object))
            return softmax_loss(logits, where, labels, weights)
        quality = iou if self.class_loss == 'varifocal' else torch.ones_like(iou)
        target = torch.zeros_like(logits)
        target[(*where, labels)] = quality
        loss = (varifocal_loss if self.class_loss == 'varifocal' else focal_loss)(logits, target)
        if ignore is not None:
            loss = loss.masked_fill(ignore[..., None], 0.0)
        return (loss * logits.new_tensor(self._per_class(logits.shape[-1]))).sum() / count

    def _per_class(self, classes: int) -> tuple[float, ...]:
        return self.config.class_weights or (1.0,) * classes

    def _denoising(
        self, noised: DenoisingOutput, targets: Sequence[Target], count: float
    ) -> dict[str, Tensor]:
        matches = _denoising_matches(noised.queries)
        losses: dict[str, Tensor] = {}
        for logits, boxes in noised.layers:
            terms = self._matched(
                logits.float(),
                boxes.float(),
                targets,
                matches,
                count * noised.queries.groups,
                noised.queries.filler,
            )
            _accumulate(losses, terms)
        return losses

    def _dense(self, dense: DenseOutput, targets: Sequence[Target]) -> dict[str, Tensor]:
        logits, boxes = dense.logits.float(), dense.boxes.float()
        target_scores = torch.zeros_like(logits)
        found, truth, weight = [], [], []
        for b, target in enumerate(targets):
            anchors = dense.anchors[b if len(dense.anchors) > 1 else 0].float()
            padding = None if dense.padding is None else dense.padding[b]
            assigned = self.assigner(
                logits[b].sigmoid(), boxes[b].detach(), anchors, target, padding
            )
            target_scores[b, assigned.token, target.labels[assigned.truth]] = assigned.quality
            found.append(boxes[b, assigned.token])
            truth.append(target.boxes[assigned.truth])
            weight.append(assigned.quality)
        return self._dense_terms(
            dense, target_scores, torch.cat(found), torch.cat(truth), torch.cat(weight)
        )

    def _dense_terms(
        self, dense: DenseOutput, scores: Tensor, found: Tensor, truth: Tensor, weight: Tensor
    ) -> dict[str, Tensor]:
        loss = varifocal_loss(dense.logits.float(), scores)
        if dense.padding is not None:
            loss = loss.masked_fill(dense.padding[..., None], 0.0)
        total = weight.sum().clamp(min=1.0)
        giou = elementwise_giou(cxcywh_to_xyxy(found), cxcywh_to_xyxy(truth))
        l1 = (found - truth).abs().sum(-1)
        return {
            'class': self.config.class_weight * loss.sum() / total,
            'l1': self.config.l1_weight * (l1 * weight).sum() / total,
            'giou': self.config.giou_weight * ((1 - giou) * weight).sum() / total,
        }


def softmax_loss(
    logits: Tensor, where: tuple[Tensor, Tensor], labels: Tensor, weights: Tensor
) -> Tensor:
    """Weighted cross-entropy over K+1 classes; unmatched queries belong to the last."""
    target = torch.full(logits.shape[:2], logits.shape[-1] - 1, device=logits.device)
    target[where] = labels
    return F.cross_entropy(logits.flatten(0, 1), target.flatten(), weights)


def focal_loss(logits: Tensor, target: Tensor, *, alpha: float = 0.25, gamma: float = 2) -> Tensor:
    """Focal loss per element for 0/1 targets of the same shape."""
    p = logits.sigmoid()
    ce = F.binary_cross_entropy_with_logits(logits, target, reduction='none')
    miss = p * (1 - target) + (1 - p) * target
    return (alpha * target + (1 - alpha) * (1 - target)) * miss**gamma * ce


def varifocal_loss(
    logits: Tensor, target: Tensor, *, alpha: float = 0.75, gamma: float = 2
) -> Tensor:
    """Varifocal loss per element: positives weigh their quality, negatives alpha p^gamma."""
    p = logits.detach().sigmoid()
    weight = torch.where(target > 0, target, alpha * p**gamma)
    return weight * F.binary_cross_entropy_with_logits(logits, target, reduction='none')


def _denoising_matches(queries: DenoisingQueries) -> list[Match]:
    matches = []
    for index in queries.target_index:
        query = (index >= 0).nonzero(as_tuple=True)[0]
        matches.append(Match(query, index[query]))
    return matches


def _accumulate(total: dict[str, Tensor], terms: dict[str, Tensor]) -> None:
    for name, value in terms.items():
        total[name] = total[name] + value if name in total else value
