"""The loss of the diffusion head: every stage is told which proposals should have been what.

Source: Chen et al., DiffusionDet, arXiv 2211.09788. The paper of E2E-MFD prints a squared error of
noisy boxes instead; its released code has this loss.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TYPE_CHECKING

import torch
from torch import Tensor

from training.e2e_mfd.assignment import ProposalAssigner
from training.e2e_mfd.geometry import make_geometry
from training.fusion_detr.losses import focal_loss

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thermal_perception.models.denoising import Target
    from thermal_perception.models.e2e_mfd.head import StageOutput
    from training.fusion_detr.matcher import Match


@dataclass(frozen=True)
class DetectionLossConfig:
    """Weights of the terms; assignment uses the same.

    Attributes:
        class_weight: of the focal loss.
        distance_weight: of the L1 distance of corners, or of the distance of oriented boxes.
        giou_weight: of 1 - GIoU.
    """

    class_weight: float = 2.0
    distance_weight: float = 5.0
    giou_weight: float = 2.0


class DetectionCriterion:
    """Sum of the losses of all stages, each divided by the proposals that it has assigned."""

    def __init__(self, boxes: Literal['upright', 'oriented'], config: DetectionLossConfig) -> None:
        """Create the assigner for one kind of boxes."""
        self.config, self.geometry = config, make_geometry(boxes)
        self.assigner = ProposalAssigner(
            self.geometry, config.class_weight, config.distance_weight, config.giou_weight
        )

    def __call__(
        self, stages: Sequence[StageOutput], targets: Sequence[Target], image_sizes: Tensor
    ) -> dict[str, Tensor]:
        """Return the weighted terms `class`, `distance` and `giou`; their sum is the loss.

        Args:
            stages: predictions of each stage.
            targets: objects of each of B images, boxes (M, V) normalised.
            image_sizes: (B, 2) height and width of the unpadded images, pixels.

        Raises:
            FloatingPointError: if a prediction is not finite.
        """
        per_stage = [self._stage(stage, targets, image_sizes) for stage in stages]
        names = ('class', 'distance', 'giou')
        return {name: torch.stack([terms[name] for terms in per_stage]).sum() for name in names}

    def _stage(
        self, stage: StageOutput, targets: Sequence[Target], image_sizes: Tensor
    ) -> dict[str, Tensor]:
        logits, boxes = stage.logits.float(), stage.boxes.float()
        matches = [
            self.assigner(lg, bx, target, size)
            for lg, bx, target, size in zip(logits, boxes, targets, image_sizes)
        ]
        image = torch.cat([torch.full_like(m.query, i) for i, m in enumerate(matches)])
        query = torch.cat([m.query for m in matches])
        count = max(len(query), 1)
        wanted = torch.zeros_like(logits)
        wanted[image, query, _matched(matches, [t.labels for t in targets])] = 1
        found = self.geometry.place(boxes[image, query], image_sizes[image])
        true = self.geometry.place(
            _matched(matches, [t.boxes for t in targets]), image_sizes[image]
        )
        overlap = self.geometry.overlap(found, true)
        terms = {
            'class': self.config.class_weight * focal_loss(logits, wanted),
            'distance': self.config.distance_weight * self.geometry.distance(found, true),
            'giou': self.config.giou_weight * (1 - overlap.giou),
        }
        return {name: values.sum() / count for name, values in terms.items()}


def _matched(matches: Sequence[Match], values: Sequence[Tensor]) -> Tensor:
    """Return the values of the objects of all matched proposals, image after image."""
    return torch.cat([value[match.truth] for match, value in zip(matches, values)])
