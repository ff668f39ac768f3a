"""Deformable 3x3 convolution in plain torch.

Source: Dai et al., Deformable Convolutional Networks, arXiv 1703.06211.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
import torch.nn.functional as F

if TYPE_CHECKING:
    from torch import Tensor

_TAPS = 9


class DeformableConv(nn.Module):
    """Version 1: every tap looks where an offset, made from the same map, moves it to.

    No modulation, one group of offsets, no bias. The offsets are (y, x) per tap, row by row, and
    zero at first: a plain convolution.
    """

    def __init__(self, channels: int, out: int) -> None:
        """Create both convolutions."""
        super().__init__()
        self.offsets = nn.Conv2d(channels, 2 * _TAPS, 3, padding=1)
        self.weight = nn.Parameter(torch.empty(out, channels, 3, 3))
        nn.init.kaiming_normal_(self.weight, nonlinearity='relu')
        for parameter in self.offsets.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, h, w) to (B, out, h, w)."""
        return deformed_conv(x, self.offsets(x), self.weight)


def deformed_conv(x: Tensor, offsets: Tensor, weight: Tensor) -> Tensor:
    """Convolve with moved taps; beyond the map there are zeros.

    Taps are taken one after the other: all at once needs nine times the memory and is slower.

    Args:
        x: (B, C, h, w).
        offsets: (B, 18, h, w) cells, (y, x) per tap, row by row of the kernel.
        weight: (out, C, 3, 3).
    """
    batch, _, height, width = x.shape
    # Places are in single precision also where maps are not: they would be rounded to whole cells.
    wide = torch.promote_types(x.dtype, torch.float32)
    y = torch.arange(height, device=x.device, dtype=wide)[:, None]
    column = torch.arange(width, device=x.device, dtype=wide)
    moved = offsets.to(wide).unflatten(1, (_TAPS, 2))  # [batch, tap, (y, x), h, w]
    total = x.new_zeros(batch, len(weight), height, width)
    for tap in range(_TAPS):
        row = y + (tap // 3 - 1) + moved[:, tap, 0]
        col = column + (tap % 3 - 1) + moved[:, tap, 1]
        grid = torch.stack((_unit(col, width), _unit(row, height)), -1)  # [batch, h, w, (x, y)]
        seen = F.grid_sample(x.to(wide), grid, align_corners=False).to(x.dtype)
        total = total + F.conv2d(seen, weight[:, :, tap // 3, tap % 3, None, None])
    return total


def _unit(cell: Tensor, count: int) -> Tensor:
    """Express cells as `grid_sample` wants them: -1 and 1 are the outer edges of the map."""
    return (2 * cell + 1) / count - 1
