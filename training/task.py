"""What is trained: a network with its loss, as one module that Fabric can wrap."""

from __future__ import annotations

from typing import NamedTuple, TYPE_CHECKING

import torch
from torch import nn, Tensor

if TYPE_CHECKING:
    from training.losses import FusionDetrCriterion
    from training.samples import Batch


class Sealed:
    """A batch that Fabric hands on untouched; it would round target boxes to half precision."""

    def __init__(self, batch: Batch, num_boxes: float | None = None) -> None:
        """Keep the batch, and the normaliser of the box losses if it is not the batch's own."""
        self.batch, self.num_boxes = batch, num_boxes


class Terms(NamedTuple):
    """What one micro-batch gave.

    Attributes:
        losses: weighted terms by name, scalars; their sum is the loss.
        seen: other scalars worth a line in the log, without gradients.
    """

    losses: dict[str, Tensor]
    seen: dict[str, Tensor]


class DetectionTask(nn.Module):
    """Fusion DETR and its criterion: batch in, loss terms out.

    Attributes:
        model: the network, trained in place.
    """

    def __init__(self, model: nn.Module, criterion: FusionDetrCriterion) -> None:
        """Join the two."""
        super().__init__()
        self.model, self.criterion = model, criterion

    def forward(self, sealed: Sealed) -> Terms:
        """Return the terms; the criterion itself works in single precision."""
        batch = sealed.batch
        images = batch.thermal.contiguous(memory_format=torch.channels_last)
        output = self.model(images, batch.padding, batch.targets)
        with torch.autocast(images.device.type, enabled=False):
            losses = self.criterion(output, batch.targets, sealed.num_boxes)
        return Terms(losses, {} if output.fusion is None else _spread(output.fusion.alpha_hat))

    def watched(self) -> dict[str, float]:
        """Return what tells whether the fusion learns: w, and the gradient of its queries."""
        found: dict[str, float] = {}
        for name, parameter in self.model.named_parameters():
            if name.endswith('fusion.w'):
                found.update({f'w_{i}': float(w) for i, w in enumerate(parameter.detach())})
            if name.endswith('fusion.query.weight') and parameter.grad is not None:
                found['grad_wq'] = float(parameter.grad.norm())
        return found


def _spread(alpha_hat: Tensor) -> dict[str, Tensor]:
    """Mean, least and greatest weight of each scale over a batch (B, S)."""
    alpha = alpha_hat.detach()
    kinds = {'': alpha.mean(0), '_min': alpha.amin(0), '_max': alpha.amax(0)}
    return {
        f'alpha{name}_{i}': a for name, values in kinds.items() for i, a in enumerate(values)
    }
