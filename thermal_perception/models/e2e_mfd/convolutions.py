"""The two kinds of convolution that the fusion branch is made of."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import nn, Tensor
import torch.nn.functional as F

from thermal_perception.models.e2e_mfd.padding import batch_norm, blank

if TYPE_CHECKING:
    from collections.abc import Sequence

Layer = TypeVar('Layer', nn.Conv2d, nn.Linear)


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


class ConvNormRelu(nn.Module):
    """Convolution without bias, batch norm, ReLU; one convolution when it does not train."""

    def __init__(self, channels: int, out: int, kernel: int = 1, dilation: int = 1) -> None:
        """Create it, Kaiming-normal; the size of the map stays as it is."""
        super().__init__()
        padding = dilation * (kernel // 2)
        self.conv = kaiming(
            nn.Conv2d(channels, out, kernel, padding=padding, dilation=dilation, bias=False)
        )
        self.norm = nn.BatchNorm2d(out)

    def forward(self, x: Tensor, padding: Tensor | None = None) -> Tensor:
        """Map (B, C, h, w) to (B, out, h, w), zero where padded."""
        y = batch_norm(self.conv(x), self.norm, padding) if self.norm.training else self._folded(x)
        return blank(F.relu(y, inplace=True), padding)

    def _folded(self, x: Tensor) -> Tensor:
        """Convolve with the norm folded into the kernel, which spares a pass over the map."""
        norm = self.norm
        assert norm.running_mean is not None and norm.running_var is not None
        scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
        weight = self.conv.weight * scale[:, None, None, None]
        bias = norm.bias - norm.running_mean * scale
        return F.conv2d(x, weight, bias, 1, self.conv.padding, self.conv.dilation)


def kaiming(layer: Layer, gain: float = 2**0.5) -> Layer:
    """Start normal with variance gain^2 / fan-in, which is Kaiming's for ReLU; bias at zero."""
    fan_in = layer.weight[0].numel()
    nn.init.normal_(layer.weight, std=gain / fan_in**0.5)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
