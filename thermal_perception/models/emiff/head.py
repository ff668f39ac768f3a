"""What the anchors of each cell show: class, box and direction."""

from __future__ import annotations

import math
from typing import NamedTuple, TYPE_CHECKING

from torch import nn, Tensor

from thermal_perception.models.boxes_3d import BOX_NUMBERS

if TYPE_CHECKING:
    from thermal_perception.models.emiff.config import EmiffConfig

_PRIOR = 0.01


class HeadOutput(NamedTuple):
    """Raw outputs for A anchors a cell and C classes, seen from above (ny rows, nx columns).

    Attributes:
        class_logits: (B, A C, ny, nx), anchor by anchor.
        box_codes: (B, A 7, ny, nx), see `boxes_3d.encode_boxes`.
        direction_logits: (B, A 2, ny, nx), see `boxes_3d.direction_bin`.
    """

    class_logits: Tensor
    box_codes: Tensor
    direction_logits: Tensor


class AnchorHead(nn.Module):
    """Three 1x1 convolutions."""

    def __init__(self, channels: int, config: EmiffConfig) -> None:
        """Create them such that nearly nothing is found at first."""
        super().__init__()
        anchors = config.anchors_per_cell
        self.classify = nn.Conv2d(channels, anchors * len(config.class_names), 1)
        self.box = nn.Conv2d(channels, anchors * BOX_NUMBERS, 1)
        self.direction = nn.Conv2d(channels, anchors * 2, 1)
        for conv in (self.classify, self.box, self.direction):
            nn.init.normal_(conv.weight, std=0.01)
            nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
        nn.init.constant_(self.classify.bias, -math.log(1 / _PRIOR - 1))  # type: ignore[arg-type]

    def forward(self, bev: Tensor) -> HeadOutput:
        """Map (B, channels, ny, nx) to logits and codes of every anchor."""
        return HeadOutput(self.classify(bev), self.box(bev), self.direction(bev))
