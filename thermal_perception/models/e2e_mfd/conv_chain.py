"""Convolutions in a row, as the pixel features and the reconstruction are made of."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from torch import nn, Tensor
import torch.nn.functional as F

from thermal_perception.models.conv_norm import kaiming
from thermal_perception.models.padding import blank

if TYPE_CHECKING:
    from collections.abc import Sequence


class ConvChain(nn.ModuleList):
    """3x3 convolutions with bias, each followed by ReLU."""

    def __init__(self, widths: Sequence[int]) -> None:
        """Create one convolution between each two neighbours of `widths`, Kaiming-normal."""
        super().__init__(kaiming(nn.Conv2d(a, b, 3, padding=1)) for a, b in pairwise(widths))

    def forward(self, x: Tensor, padding: Tensor | None = None) -> Tensor:
        """Map (B, widths[0], h, w) to (B, widths[-1], h, w), zero where padded."""
        for conv in self:
            x = blank(F.relu(conv(x), inplace=True), padding)
        return x
