"""Feature pyramid: every level gets the meaning of the coarser ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn, Tensor
import torch.nn.functional as F

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


class FeaturePyramid(nn.Module):
    """A 1x1 convolution per level, a path from coarse to fine that adds, and a 3x3 per level.

    Source: Lin et al., Feature Pyramid Networks, arXiv 1612.03144.
    """

    def __init__(self, channels: Mapping[int, int], width: int) -> None:
        """Create the pyramid.

        Args:
            channels: of the backbone's maps by stride, each stride twice the one before.
            width: channels of every level that comes out.
        """
        super().__init__()
        self.strides = tuple(sorted(channels))
        self.lateral = nn.ModuleDict({str(s): _conv(channels[s], width, 1) for s in self.strides})
        self.output = nn.ModuleDict({str(s): _conv(width, width, 3) for s in self.strides})

    def forward(
        self, features: Mapping[int, Tensor], strides: Collection[int] | None = None
    ) -> dict[int, Tensor]:
        """Map (B, C, H/s, W/s) by stride s to (B, width, H/s, W/s) by stride.

        Args:
            features: of all levels.
            strides: of the levels to return; None returns all.
        """
        coarse: Tensor | None = None
        levels = {}
        for stride in reversed(self.strides):
            fine = self.lateral[str(stride)](features[stride])
            if coarse is not None:
                fine = fine + F.interpolate(coarse, size=fine.shape[-2:], mode='nearest')
            coarse = fine
            if strides is None or stride in strides:
                levels[stride] = self.output[str(stride)](fine)
        return levels


def _conv(channels: int, out: int, kernel: int) -> nn.Conv2d:
    conv = nn.Conv2d(channels, out, kernel, padding=kernel // 2)
    nn.init.xavier_uniform_(conv.weight)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return conv
