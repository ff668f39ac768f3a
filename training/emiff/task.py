"""EMIFF with its losses as one module."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from thermal_perception.config import from_mapping
from thermal_perception.models.emiff.lifting import View
from thermal_perception.models.emiff.network import Message
from training.emiff.losses import EmiffCriterion, EmiffLossConfig
from training.emiff.outlines import outline_loss, ray_loss
from training.task import Task, Terms

if TYPE_CHECKING:
    from torch import nn, Tensor

    from thermal_perception.models.emiff.network import Emiff
    from thermal_perception.models.record import CheckpointInfo
    from training.config import TrainingConfig
    from training.emiff.samples import CooperativeBatch
    from training.task import Sealed


class EmiffTask(Task):
    """The network and its criterion.

    Some steps lack one of the cameras, so that the robot can too; each takes one of the
    compression levels by chance, and what is sent is rounded as it is on the way.
    """

    model: Emiff

    def __init__(self, model: nn.Module, config: EmiffLossConfig) -> None:
        """Create the criterion."""
        super().__init__(model)
        self._config = config
        self._criterion = EmiffCriterion(self.model.config, config)

    @classmethod
    def make(cls, model: nn.Module, info: CheckpointInfo, config: TrainingConfig) -> EmiffTask:
        """Read the options of the losses from an experiment.

        Raises:
            ConfigError: if one is unknown.
        """
        return cls(model, from_mapping(EmiffLossConfig, config.loss, where='loss'))

    def forward(self, sealed: Sealed) -> Terms:
        """Return the terms; the criterion works in single precision."""
        batch: CooperativeBatch = sealed.batch  # type: ignore[assignment]
        chance = float(torch.rand(()))
        drop_ego = chance > 1 - self._config.drop_ego
        drop_infra = chance < self._config.drop_infra
        view = View(batch.ego_K, batch.ego_T, batch.mirrored, batch.ego_content)
        output = self.model.vehicle(
            None if drop_ego else _channels_last(batch.ego_image),
            None if drop_ego else view,
            None if drop_infra else self._message(batch),
        )
        with torch.autocast(batch.ego_image.device.type, enabled=False):
            losses = self._criterion(output.head, batch.targets)
            outlines = [] if drop_ego else [batch.ego_outline]
            outlines += [] if drop_infra else [batch.infra_outline]
            if self._config.outline_weight:
                wrong = [outline_loss(m, o) for m, o in zip(output.maps, outlines)]
                losses['outline'] = self._config.outline_weight * torch.stack(wrong).mean()
            if output.rays and self._config.ray_weight:
                wrong = [ray_loss(r, o) for r, o in zip(output.rays, outlines)]
                losses['ray'] = self._config.ray_weight * torch.stack(wrong).mean()
            return Terms(losses, {})

    def _message(self, batch: CooperativeBatch) -> Message:
        levels = self.model.config.compression
        level = levels[int(torch.randint(len(levels), ()))] if levels else None
        tensors = self.model.infrastructure(_channels_last(batch.infra_image), level)
        if level is not None and self._config.quantise:
            tensors = tuple(rounded(x) for x in tensors)
        size = (batch.infra_image.shape[-2], batch.infra_image.shape[-1])
        view = View(batch.infra_K, batch.infra_T, batch.mirrored, batch.infra_content)
        return Message(tensors, level, view, size)


def rounded(features: Tensor) -> Tensor:
    """Round (B, C, h, w) to 255 steps of each channel's own size; the gradient passes as it is."""
    steps = (features.detach().amax((2, 3), keepdim=True) / 255).clamp(min=1e-12)
    return features + ((features / steps).round() * steps - features).detach()


def _channels_last(image: Tensor) -> Tensor:
    return image.contiguous(memory_format=torch.channels_last)
