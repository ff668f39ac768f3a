"""Layers that fusion and decoder share; paddings as in `models/padding.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn, Tensor
import torch.nn.functional as F

from thermal_perception.models.conv_norm import ConvNorm, kaiming
from thermal_perception.models.fusion import masked_mean
from thermal_perception.models.padding import blank, enlarge, padding_at

if TYPE_CHECKING:
    import torch


class Separable(nn.Module):
    """Depthwise k x k, norm, GELU, 1x1, norm."""

    def __init__(self, channels: int, kernel: int) -> None:
        """Create it; the number of channels stays."""
        super().__init__()
        self.depthwise = ConvNorm(channels, channels, kernel, groups=channels, activation='gelu')
        self.pointwise = ConvNorm(channels, channels)

    def forward(self, x: Tensor, padding: Tensor | None = None) -> Tensor:
        """Map (B, C, h, w) to the same shape."""
        return self.pointwise(self.depthwise(x, padding), padding)


class ChannelGate(nn.Module):
    """Numbers in (0, 1) from what a map holds on average: 1x1, ReLU, 1x1, sigmoid."""

    def __init__(self, channels: int, hidden: int, out: int, *, bias: bool = False) -> None:
        """Create both convolutions."""
        super().__init__()
        self.squeeze = kaiming(nn.Conv2d(channels, hidden, 1, bias=bias))
        self.excite = kaiming(nn.Conv2d(hidden, out, 1, bias=bias), gain=1.0)

    def forward(self, x: Tensor, padding: Tensor | None = None) -> Tensor:
        """Map (B, C, h, w) to (B, out, 1, 1)."""
        return self.excite(F.relu(self.squeeze(average(x, padding)))).sigmoid()


def average(x: Tensor, padding: Tensor | None) -> Tensor:
    """Average (B, C, h, w) over the cells that are not padded -> (B, C, 1, 1)."""
    return masked_mean(x, padding_at(padding, x.shape[-2:]))[:, :, None, None]


def resize(x: Tensor, size: torch.Size, padding: Tensor | None) -> Tensor:
    """Resize (B, C, h, w) bilinearly to `size` (height, width); corners are not aligned."""
    return blank(enlarge(x, size, padding), padding)
