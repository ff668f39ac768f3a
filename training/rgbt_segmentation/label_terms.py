"""Terms that compare logits with a label image.

Logits are (B, K, H, W), single precision, and labels (B, H, W) int64 in 0..K-1, or 255 where they
are unknown. Unknown pixels change nothing; where all are unknown, every term is zero. Class
weights are (K,), positive.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor
import torch.nn.functional as F

from training.augment.warp import UNKNOWN

Lovasz = Literal['standard', 'reference']


class Known(NamedTuple):
    """The pixels whose labels are known, N in all.

    Attributes:
        scores: (N, K) softmax over the classes.
        truth: (N, K), 1 at the pixel's class, 0 elsewhere.
    """

    scores: Tensor
    truth: Tensor

    @staticmethod
    def of(logits: Tensor, labels: Tensor) -> Known:
        """Collect them from a batch."""
        known = labels != UNKNOWN
        scores = logits.permute(0, 2, 3, 1)[known].softmax(-1)  # [pixels, classes]
        return Known(scores, F.one_hot(labels[known], logits.shape[1]).to(scores.dtype))

    @property
    def present(self) -> Tensor:
        """(K,) bool, whether a class is seen anywhere in the batch."""
        return self.truth.any(0)


def cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Return the cross-entropy, mean over pixels that count as much as their class weighs."""
    total = F.cross_entropy(logits, labels, weights, ignore_index=UNKNOWN, reduction='sum')
    known = labels[labels != UNKNOWN]
    return total / weights[known].sum().clamp(min=torch.finfo(total.dtype).tiny)


def hard_cross_entropy(
    logits: Tensor,
    labels: Tensor,
    weights: Tensor,
    *,
    threshold: float = 0.7,
    fewest: int = 100_000,
) -> Tensor:
    """Return the cross-entropy of the pixels that are still hard.

    Args:
        logits: see above.
        labels: see above.
        weights: see above.
        threshold: a pixel is hard while its class is less probable than this.
        fewest: pixels that count at least, the hardest, if that many are known.

    Source: Shrivastava et al., Online Hard Example Mining, arXiv 1604.03540.
    """
    known = labels != UNKNOWN
    truth = labels[known]
    log_scores = logits.permute(0, 2, 3, 1)[known].log_softmax(-1)
    true = log_scores.gather(1, truth[:, None])[:, 0]
    hardest = true.detach().exp().sort()
    count = max(int((hardest.values < threshold).sum()), min(fewest, len(truth)))
    chosen = hardest.indices[:count]
    weight = weights[truth[chosen]]
    return -(weight * true[chosen]).sum() / weight.sum().clamp(min=torch.finfo(weight.dtype).tiny)


def dice_loss(known: Known, weights: Tensor) -> Tensor:
    """Return 1 - soft Dice of each class over the whole batch, weighted mean over those present.

    The released code weighs Dice before it subtracts it from one, which makes the term negative.
    """
    scores, truth = known
    overlap, extent = (scores * truth).sum(0), scores.sum(0) + truth.sum(0)
    dice = 2 * overlap / extent.clamp(min=torch.finfo(extent.dtype).tiny)
    weights = weights * known.present
    return (weights * (1 - dice)).sum() / weights.sum().clamp(min=torch.finfo(dice.dtype).tiny)


def lovasz_loss(known: Known, form: Lovasz = 'standard') -> Tensor:
    """Return the Lovász-softmax loss over the batch, mean over the classes present."""
    present = known.present
    per_class = lovasz_per_class(known, form)
    return (per_class * present).sum() / present.sum().clamp(min=1)


def lovasz_per_class(known: Known, form: Lovasz = 'standard') -> Tensor:
    """Return (K,), the convex extension of 1 - IoU of each class; of absent ones it means little.

    Args:
        known: the pixels.
        form: `standard`, or `reference`, what the released code does under this name: errors
            weighed by the share of the class not yet passed, mean over pixels.

    Source: Berman et al., The Lovász-Softmax loss, arXiv 1705.08790.
    """
    errors, order = (known.truth - known.scores).abs().sort(0, descending=True)
    truth = known.truth.gather(0, order)  # [pixels, classes], largest errors first
    if form == 'standard':
        return (errors * _jaccard_slopes(truth)).sum(0)
    rest = 1 - truth.cumsum(0) / truth.sum(0).clamp(min=1)
    return (errors * rest).sum(0) / max(len(errors), 1)


def _jaccard_slopes(truth: Tensor) -> Tensor:
    """Return (N, K): by how much 1 - IoU grows as one more pixel, in this order, is wrong."""
    total = truth.sum(0)
    intersection = total - truth.cumsum(0)
    union = total + (1 - truth).cumsum(0)
    jaccard = 1 - intersection / union
    return torch.diff(jaccard, dim=0, prepend=torch.zeros_like(jaccard[:1]))


def focal_loss(known: Known, label: int, gamma: float = 2.0) -> Tensor:
    """Return the focal loss of one class against all others, mean over pixels.

    Source: Lin et al., arXiv 1708.02002.
    """
    scores, truth = known.scores[:, label], known.truth[:, label]
    right = torch.where(truth > 0, scores, 1 - scores)
    tiny = torch.finfo(right.dtype).tiny
    loss = -((1 - right) ** gamma) * right.clamp(min=tiny).log()
    return loss.sum() / max(len(loss), 1)


def boundary_loss(logits: Tensor, labels: Tensor, *, edge_weight: float = 3.0) -> Tensor:
    """Return how far the edges of the scores are from those of the labels, mean over pixels.

    Edges are the magnitude of the Laplacian (four neighbours) of every class's map, at most 1.
    Pixels beside unknown ones are left out.

    Args:
        logits: see above.
        labels: see above.
        edge_weight: of pixels on a true edge, the others weigh 1.
    """
    classes = logits.shape[1]
    known = labels != UNKNOWN
    truth = F.one_hot(labels.masked_fill(~known, 0), classes).permute(0, 3, 1, 2)
    scores, wanted = (_edges(x) for x in (logits.softmax(1), truth.to(logits.dtype)))
    around = -F.max_pool2d(-known[:, None].to(logits.dtype), 3, 1)  # 1 where all nine are known
    weight = around * (1 + (edge_weight - 1) * (wanted > 0))
    distance = ((scores - wanted).abs() * weight).sum()
    return distance / weight.sum().clamp(min=torch.finfo(distance.dtype).tiny)


def _edges(x: Tensor) -> Tensor:
    """Return (B, K, H - 2, W - 2), edges of maps (B, K, H, W)."""
    inner = x[..., 1:-1, 1:-1]
    beside = x[..., 1:-1, :-2] + x[..., 1:-1, 2:] + x[..., :-2, 1:-1] + x[..., 2:, 1:-1]
    return (beside - 4 * inner).abs().clamp(max=1)
