"""How much of every pixel feature passes, as the regions of the pyramid decide."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn, Tensor
import torch.nn.functional as F

from thermal_perception.models.conv_norm import ConvNorm, kaiming
from thermal_perception.models.e2e_mfd.region_branch import RegionBranch
from thermal_perception.models.padding import blank, enlarge, padding_at

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thermal_perception.models.e2e_mfd.config import OrpptConfig


class RegionGate(nn.Module):
    """Region branches of several levels, joined into one gate per pixel and channel."""

    def __init__(self, config: OrpptConfig, pyramid_width: int) -> None:
        """Create a branch per level of `pyramid_width` channels."""
        super().__init__()
        coarse_to_fine = sorted(config.levels, reverse=True)
        self.branches = nn.ModuleDict(
            {str(s): RegionBranch(config, pyramid_width) for s in coarse_to_fine}
        )
        self.join = kaiming(nn.Conv2d(config.region_masks * pyramid_width, config.width, 1))
        self.hard = config.gate == 'hard_sigmoid'
        self.gate: nn.Module = (
            ConvNorm(config.width, config.width, activation='relu')
            if self.hard
            else kaiming(nn.Conv2d(config.width, config.width, 1), gain=1.0)
        )

    def forward(
        self, pyramid: Mapping[int, Tensor], size: torch.Size, padding: Tensor | None = None
    ) -> Tensor:
        """Return g (B, width, h, w) in 0..1.

        Args:
            pyramid: (B, C, H/s, W/s) by stride s.
            size: (h, w) of the gate.
            padding: (B, H, W) bool at any resolution, True where padded, or None.
        """
        x = F.relu(self.joined(pyramid, size, padding), inplace=True)
        if self.hard:
            return F.hardsigmoid(self.gate(x, padding))
        return self.gate(x).sigmoid()

    def joined(
        self, pyramid: Mapping[int, Tensor], size: torch.Size, padding: Tensor | None = None
    ) -> Tensor:
        """Return `join` of the sum of all enlarged branches, (B, width, h, w).

        Convolving first and enlarging then is the same, both being linear, and takes a quarter of
        the memory. The bias goes to the first, smallest map: enlarging does not change it.
        """
        total: Tensor | None = None
        for stride, branch in self.branches.items():
            level = pyramid[int(stride)]
            cells = padding_at(padding, level.shape[-2:])
            part = branch(blank(level, cells), cells).project(self.join.weight)
            if total is None:
                part = part + self.join.bias[:, None, None]  # type: ignore[index]
            part = enlarge(part, size, cells)
            total = part if total is None else total + part
        assert total is not None
        return total


def modulate(pixels: Tensor, gate: Tensor) -> Tensor:
    """Return p * g + p: a gate of 0 lets features pass as they are, one of 1 doubles them."""
    return torch.addcmul(pixels, pixels, gate)
