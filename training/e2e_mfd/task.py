"""E2E-MFD with the losses of both its tasks as one module."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from thermal_perception.config import from_mapping
from thermal_perception.errors import ConfigError
from thermal_perception.models.e2e_mfd.brightness import brightness
from thermal_perception.models.e2e_mfd.diffusion import noised_proposals
from thermal_perception.models.e2e_mfd.head import StageOutput
from thermal_perception.models.e2e_mfd.network import image_sizes
from training.e2e_mfd.detection_loss import DetectionCriterion, DetectionLossConfig
from training.e2e_mfd.fusion_loss import FusionCriterion, FusionLossConfig
from training.e2e_mfd.masks import object_mask
from training.multitask import Aligner, MultitaskConfig
from training.task import Task, Terms

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import nn, Tensor

    from thermal_perception.models.e2e_mfd.network import E2eMfd, E2eMfdOutput
    from thermal_perception.models.record import CheckpointInfo
    from training.config import TrainingConfig
    from training.samples import Batch
    from training.task import Sealed


@dataclass(frozen=True)
class E2eMfdLossConfig:
    """Losses of both tasks and how they share the backbone.

    Attributes:
        fusion: see `FusionLossConfig`.
        detection: see `DetectionLossConfig`.
        multitask: see `MultitaskConfig`.
    """

    fusion: FusionLossConfig = field(default_factory=FusionLossConfig)
    detection: DetectionLossConfig = field(default_factory=DetectionLossConfig)
    multitask: MultitaskConfig = field(default_factory=MultitaskConfig)


class E2eMfdTask(Task):
    """The network and its criteria: batch in, terms `fusion/...` and `detection/...` out.

    Samples that lack a camera teach nothing about fusion, since the robot then shows the other
    one as it is; samples of data sets without labels teach nothing about detection.
    """

    shares = ('fusion', 'detection')
    model: E2eMfd

    def __init__(self, model: nn.Module, config: E2eMfdLossConfig) -> None:
        """Create the criteria."""
        super().__init__(model)
        self.aligner = Aligner(config.multitask)
        self._fusion = FusionCriterion(config.fusion)
        self._detection = DetectionCriterion(self.model.config.detection.boxes, config.detection)

    @classmethod
    def make(cls, model: nn.Module, info: CheckpointInfo, config: TrainingConfig) -> E2eMfdTask:
        """Read the options of the losses from an experiment.

        Raises:
            ConfigError: if one is unknown, or the network could not learn anything.
        """
        if info.config.get('own_laterals') and config.augment.drop_thermal >= 1:
            raise ConfigError(
                'augment.drop_thermal: found 1.0 and a network with own_laterals, whose colour '
                'ones start at zero beside thermal ones that know something; expected '
                'model_options.own_laterals: false'
            )
        return cls(model, from_mapping(E2eMfdLossConfig, config.loss, where='loss'))

    def shared_parameters(self) -> Iterable[nn.Parameter]:
        """Return those of backbone and pyramid."""
        return self.model.shared_parameters()

    def forward(self, sealed: Sealed) -> Terms:
        """Return the terms; the criteria work in single precision."""
        batch = sealed.batch
        if batch.rgb is None:
            raise ValueError('E2eMfdTask: found thermal images alone, expected pairs')
        head = self.model.head
        boxes = [target.boxes for target in batch.targets]
        proposals = noised_proposals(boxes, head.config, head.schedule)
        cameras = _cameras(batch)
        output = self.model(
            *cameras,
            batch.padding,
            present=None if None in cameras else batch.present,
            proposals=proposals,
        )
        with torch.autocast(batch.thermal.device.type, enabled=False):
            terms = {
                **{f'fusion/{k}': v for k, v in self._fusion_terms(output, batch).items()},
                **{f'detection/{k}': v for k, v in self._detection_terms(output, batch).items()},
            }
        return Terms(terms, _seen(output))

    def _fusion_terms(self, output: E2eMfdOutput, batch: Batch) -> dict[str, Tensor]:
        assert output.fusion is not None  # it was asked for
        assert batch.rgb is not None
        both = _everywhere(batch) if batch.present is None else batch.present.all(1)
        if not bool(both.any()):
            # Every process must reach every weight, or those that wait for its gradients hang.
            sums = [p.float().sum() for p in self.model.orppt.parameters()]
            return {'none': 0.0 * torch.stack(sums).sum()}
        fused, sizes = output.fusion.fused, image_sizes(batch.thermal, batch.padding)
        shape = (batch.thermal.shape[-2], batch.thermal.shape[-1])
        objects = object_mask(batch.targets, sizes, shape)
        return self._fusion(
            fused[both],
            visible=brightness(batch.rgb)[both],
            thermal=batch.thermal[both],
            objects=objects[both],
            padding=None if batch.padding is None else batch.padding[both],
        )

    def _detection_terms(self, output: E2eMfdOutput, batch: Batch) -> dict[str, Tensor]:
        assert output.stages is not None  # proposals were given
        known = _everywhere(batch) if batch.labelled is None else batch.labelled
        if not bool(known.any()):
            last = output.stages[-1]
            return {'none': 0.0 * (last.logits.float().sum() + last.boxes.float().sum())}
        stages = [StageOutput(s.logits[known], s.boxes[known]) for s in output.stages]
        targets = [t for t, is_known in zip(batch.targets, known.tolist()) if is_known]
        return self._detection(stages, targets, image_sizes(batch.thermal, batch.padding)[known])


def _cameras(batch: Batch) -> tuple[Tensor | None, Tensor | None]:
    """Return thermal and colour images; None for a camera that no sample has."""
    there = (True, True) if batch.present is None else batch.present.any(0).tolist()
    thermal, rgb = (
        image.contiguous(memory_format=torch.channels_last) if image is not None and seen else None
        for image, seen in zip((batch.thermal, batch.rgb), there)
    )
    return thermal, rgb


def _everywhere(batch: Batch) -> Tensor:
    return torch.ones(len(batch.thermal), dtype=torch.bool, device=batch.thermal.device)


def _seen(output: E2eMfdOutput) -> dict[str, Tensor]:
    """Return the mean weight of each camera in the fused image."""
    assert output.fusion is not None
    thermal, visible = output.fusion.weights.detach().float().mean((0, 2, 3))
    return {'weight_thermal': thermal, 'weight_visible': visible}
