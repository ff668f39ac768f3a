"""RGB-T segmentation with its losses as one module."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from thermal_perception.config import from_mapping
from thermal_perception.errors import ConfigError
from training.rgbt_segmentation.losses import (
    class_weights,
    SegmentationCriterion,
    SegmentationLossConfig,
)
from training.rgbt_segmentation.recipe import learning_rate_factor, parameter_groups
from training.task import Recipe, Task, Terms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import nn, Tensor

    from thermal_perception.models.record import CheckpointInfo
    from thermal_perception.models.rgbt_segmentation.network import (
        RgbtSegmentation,
        RgbtSegmentationOutput,
    )
    from training.config import TrainingConfig
    from training.datasets import DataFolder
    from training.samples import Batch
    from training.task import Sealed


class RgbtSegmentationTask(Task):
    """The network and its criterion: batch with label images in, terms out.

    A camera that a sample lacks is shown to the network as its mean, as the robot does.
    """

    recipe = Recipe(parameter_groups, learning_rate_factor)
    model: RgbtSegmentation

    def __init__(self, model: nn.Module, config: SegmentationLossConfig) -> None:
        """Create the criterion.

        Raises:
            ConfigError: if `config` names classes that the network does not have.
        """
        super().__init__(model)
        self._config = config
        self._criterion = SegmentationCriterion(self.model.config.num_classes, config)
        names = self.model.config.class_names
        if unknown := sorted(config.boosts.keys() - set(names)):
            raise ConfigError(f'boosts: found {unknown[0]}, expected some of {", ".join(names)}')

    @classmethod
    def make(
        cls, model: nn.Module, info: CheckpointInfo, config: TrainingConfig
    ) -> RgbtSegmentationTask:
        """Read the options of the losses from an experiment.

        Raises:
            ConfigError: if one is unknown.
        """
        return cls(model, from_mapping(SegmentationLossConfig, config.loss, where='loss'))

    def look_at(self, folders: Sequence[DataFolder]) -> None:
        """Count the pixels of each class, if the loss weighs classes by them."""
        if not self._config.count_classes:
            return
        names = self.model.config.class_names
        boosts = {names.index(name): factor for name, factor in self._config.boosts.items()}
        weights = class_weights(_pixels(folders, len(names)).tolist(), boosts)
        config = replace(self._config, class_weights=weights)
        self._criterion = SegmentationCriterion(len(names), config)

    @property
    def class_weights(self) -> tuple[float, ...]:
        """Weight of each class in the losses, empty where all weigh the same."""
        return self._criterion.config.class_weights

    def forward(self, sealed: Sealed) -> Terms:
        """Return the terms; the criterion works in single precision."""
        batch = sealed.batch
        if batch.masks is None:
            raise ValueError('RgbtSegmentationTask: found no label images, expected some')
        output = self.model(
            batch.thermal.contiguous(memory_format=torch.channels_last),
            _colour(batch),
            batch.padding,
            present=batch.present,
        )
        with torch.autocast(batch.thermal.device.type, enabled=False):
            return Terms(self._criterion(output, batch.masks, epoch=self.epoch), _seen(output))


def _colour(batch: Batch) -> Tensor | None:
    if batch.rgb is None:
        return None
    return batch.rgb.contiguous(memory_format=torch.channels_last)


def _seen(output: RgbtSegmentationOutput) -> dict[str, Tensor]:
    """Return the means of what the fusion modules tell of themselves."""
    return {name: values.detach().float().mean() for name, values in output.readings.items()}


def _pixels(folders: Sequence[DataFolder], classes: int) -> NDArray[np.int64]:
    """Count the pixels of each class in raw label images."""
    counts = np.zeros(classes, np.int64)
    for folder in folders:
        for index in range(len(folder)):
            found = np.bincount(folder.mask(index).ravel(), minlength=classes)
            counts += found[:classes]  # what is beyond is unknown
    return counts
