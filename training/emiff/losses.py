"""What EMIFF minimises: focal loss of classes, distance of boxes, direction of headings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TYPE_CHECKING

import torch
from torch import nn
import torch.nn.functional as F

from thermal_perception.models.boxes_3d import BOX_NUMBERS, direction_bin, encode_boxes
from thermal_perception.models.emiff.anchors import make_anchors
from training.emiff.targets import assign, IGNORED
from training.fusion_detr.losses import focal_loss

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from thermal_perception.models.emiff.config import EmiffConfig
    from thermal_perception.models.emiff.head import HeadOutput
    from training.emiff.targets import Target3D

_BETA = 1 / 9


@dataclass(frozen=True)
class EmiffLossConfig:
    """Weights of the losses, and what is left out in training.

    Attributes:
        class_weight: of the focal loss.
        box_weight: of the distance of boxes.
        direction_weight: of the directions.
        outline_weight: of the outlines in the maps that are lifted; 0 asks for none, as published.
            Its gradients are small, and drown in those of the boxes at a weight of 1.
        ray_weight: of the weights along rays, where the network has them.
        drop_infra: share of the steps without the roadside.
        drop_ego: share of the steps without the vehicle's image.
        quantise: round what is sent to eight bits, as it is on the way.
    """

    class_weight: float = 1.0
    box_weight: float = 2.0
    direction_weight: float = 0.2
    outline_weight: float = 20.0
    ray_weight: float = 1.0
    drop_infra: float = 0.15
    drop_ego: float = 0.1
    quantise: bool = True


class _Rows(NamedTuple):
    """Outputs of all anchors of a batch, (B, N, ...)."""

    logits: Tensor
    codes: Tensor
    directions: Tensor


class EmiffCriterion(nn.Module):
    """Outputs of the head and objects in, loss terms out."""

    def __init__(self, model: EmiffConfig, config: EmiffLossConfig) -> None:
        """Make the anchors."""
        super().__init__()
        self.model, self.config = model, config
        self.anchors: Tensor
        self.register_buffer('anchors', make_anchors(model), persistent=False)

    def forward(self, head: HeadOutput, targets: Sequence[Target3D]) -> dict[str, Tensor]:
        """Return the weighted terms; all are divided by the number of anchors that find.

        Args:
            head: of B frames.
            targets: of each of them.
        """
        rows = _Rows(*(_by_anchor(x.float(), self.anchors.shape[2]) for x in head))
        found = torch.stack([assign(self.anchors, t, self.model) for t in targets])  # [B, N]
        finds = found >= 0
        count = finds.sum().clamp(min=1)
        image, anchor = finds.nonzero(as_tuple=True)
        boxes = _objects_of(found, targets, self.anchors)
        config = self.config
        return {
            'class': config.class_weight * self._class(rows, found, targets) / count,
            'box': config.box_weight * self._box(rows, image, anchor, boxes) / count,
            'direction': config.direction_weight
            * F.cross_entropy(
                rows.directions[image, anchor], direction_bin(boxes[:, 6]), reduction='sum'
            )
            / count,
        }

    def _class(self, rows: _Rows, found: Tensor, targets: Sequence[Target3D]) -> Tensor:
        wanted = torch.zeros_like(rows.logits)
        for row, match, target in zip(wanted, found, targets):
            anchors = (match >= 0).nonzero()[:, 0]
            row[anchors, target.labels[match[anchors]]] = 1
        loss = focal_loss(rows.logits, wanted)
        return loss[found != IGNORED].sum()

    def _box(self, rows: _Rows, image: Tensor, anchor: Tensor, boxes: Tensor) -> Tensor:
        codes = rows.codes[image, anchor]
        wanted = encode_boxes(boxes, self.anchors.reshape(-1, BOX_NUMBERS)[anchor])
        # A heading and its opposite are the same box: only the sine of the difference counts.
        angle, wanted_angle = codes[:, 6:], wanted[:, 6:]
        codes = torch.cat((codes[:, :6], angle.sin() * wanted_angle.cos()), 1)
        wanted = torch.cat((wanted[:, :6], angle.cos() * wanted_angle.sin()), 1)
        return F.smooth_l1_loss(codes, wanted, beta=_BETA, reduction='sum')


def _by_anchor(x: Tensor, per_cell: int) -> Tensor:
    """Turn (B, A k, ny, nx) into (B, ny nx A, k), in the order of the anchors."""
    batch, channels = x.shape[:2]
    return x.permute(0, 2, 3, 1).reshape(batch, -1, channels // per_cell)


def _objects_of(found: Tensor, targets: Sequence[Target3D], like: Tensor) -> Tensor:
    """Return the (P, 7) boxes of all anchors that find, in the order of `found`."""
    boxes = [t.boxes[match[match >= 0]] for match, t in zip(found, targets)]
    return torch.cat(boxes).to(like)
