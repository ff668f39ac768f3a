"""Deformable 3x3 convolution in plain torch.

Exported graphs read cells by their numbers and weigh them, instead of `grid_sample`: its places
are counted from the middle of the map, and a graph in half precision rounds them, on a map of 128
columns by up to an eighth of a cell. An offset is small and loses little. OpenVINO takes as long
either way, eager PyTorch several times as long by cells.

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

    Taps are taken one after the other: all at once needs nine times the memory and is slower. In
    exported graphs all come at once: less than half the nodes, in less than half the time.

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
    if torch.compiler.is_exporting():
        rows = weight.flatten(2).transpose(1, 2).flatten(1)  # [out, tap C]
        return F.conv2d(_by_cells(x, moved), rows[..., None, None])
    total = x.new_zeros(batch, len(weight), height, width)
    for tap in range(_TAPS):
        row = y + (tap // 3 - 1) + moved[:, tap, 0]
        col = column + (tap % 3 - 1) + moved[:, tap, 1]
        grid = torch.stack((_unit(col, width), _unit(row, height)), -1)  # [batch, h, w, (x, y)]
        seen = F.grid_sample(x.to(wide), grid, align_corners=False).to(x.dtype)
        total = total + F.conv2d(seen, weight[:, :, tap // 3, tap % 3, None, None])
    return total


def _by_cells(x: Tensor, moved: Tensor) -> Tensor:
    """Return what all taps see, each the weighed sum of four cells.

    Args:
        x: (B, C, h, w).
        moved: (B, tap, 2, h, w) cells, (y, x).

    Returns:
        (B, 9 C, h, w), tap by tap.
    """
    batch, _, height, width = x.shape
    table = F.pad(x, (1, 1, 1, 1)).permute(0, 2, 3, 1).flatten(0, 2)  # a row per cell, 0 around
    first = torch.arange(batch, device=x.device)[:, None, None, None] * (height + 2) * (width + 2)
    tap = torch.arange(_TAPS, device=x.device)
    moved = moved.permute(0, 3, 4, 1, 2)  # [batch, h, w, tap, (y, x)]
    whole = moved.floor()
    part_y, part_x = (moved - whole).unbind(-1)
    beyond = max(height, width) + 2
    row, col = whole.clamp(-beyond, beyond).long().unbind(-1)
    row = torch.arange(height, device=x.device)[:, None, None] + tap // 3 + row
    col = torch.arange(width, device=x.device)[:, None] + tap % 3 + col
    seen = x.new_zeros(())
    for below, share_y in enumerate((1 - part_y, part_y)):
        for right, share_x in enumerate((1 - part_x, part_x)):
            in_row = (row + below).clamp(0, height + 1) * (width + 2)
            cells = first + in_row + (col + right).clamp(0, width + 1)
            seen = seen + F.embedding(cells, table) * (share_y * share_x)[..., None]
    return seen.flatten(3).permute(0, 3, 1, 2)  # [batch, tap C, h, w]


def _unit(cell: Tensor, count: int) -> Tensor:
    """Express cells as `grid_sample` wants them: -1 and 1 are the outer edges of the map."""
    return (2 * cell + 1) / count - 1
