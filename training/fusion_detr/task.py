"""Fusion DETR and its criterion as one module."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from thermal_perception.config import from_mapping
from training.fusion_detr.losses import FusionDetrCriterion, LossConfig
from training.task import Task, Terms

if TYPE_CHECKING:
    from torch import nn, Tensor

    from thermal_perception.models.record import CheckpointInfo
    from training.config import TrainingConfig
    from training.task import Sealed


class FusionDetrTask(Task):
    """Fusion DETR and its criterion: batch in, loss terms out."""

    def __init__(self, model: nn.Module, criterion: FusionDetrCriterion) -> None:
        """Join the two."""
        super().__init__(model)
        self.criterion = criterion

    @classmethod
    def make(
        cls, model: nn.Module, info: CheckpointInfo, config: TrainingConfig
    ) -> FusionDetrTask:
        """Read the options of the losses from an experiment.

        Raises:
            ConfigError: if one is unknown.
        """
        loss = from_mapping(LossConfig, config.loss, where='loss')
        return cls(model, FusionDetrCriterion(info.config.get('class_loss', 'softmax'), loss))

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
