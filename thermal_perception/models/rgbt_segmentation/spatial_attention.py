"""Where in an image a map matters."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn, Tensor

from thermal_perception.models.conv_norm import kaiming


class SpatialAttention(nn.Module):
    """Mean and maximum over the channels, one convolution, sigmoid.

    Source: Woo et al., CBAM, arXiv 1807.06521.
    """

    def __init__(self, kernel: int, *, first: Literal['mean', 'max']) -> None:
        """Create the convolution without bias; `first` is what its first channel sees."""
        super().__init__()
        self.first = first
        self.conv = kaiming(nn.Conv2d(2, 1, kernel, padding=kernel // 2, bias=False), gain=1.0)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, h, w), zero where padded, to a mask (B, 1, h, w) in (0, 1)."""
        mean, largest = x.mean(1, keepdim=True), x.amax(1, keepdim=True)
        pooled = (mean, largest) if self.first == 'mean' else (largest, mean)
        return self.conv(torch.cat(pooled, 1)).sigmoid()
