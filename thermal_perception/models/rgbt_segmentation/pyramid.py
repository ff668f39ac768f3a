"""The bidirectional pyramid of the decoder: from coarse to fine, and back.

Source: Liu et al., Path Aggregation Network, arXiv 1803.01534.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import nn, Tensor

from thermal_perception.models.conv_norm import ConvNorm
from thermal_perception.models.rgbt_segmentation.layers import resize

if TYPE_CHECKING:
    from collections.abc import Mapping


class PanPyramid(nn.Module):
    """Every level learns what the coarser ones mean and where the finer ones see edges.

    Attributes:
        strides: of the levels, finest first.
    """

    def __init__(self, channels: Mapping[int, int], width: int) -> None:
        """Create the pyramid.

        Args:
            channels: of the maps that come in, by stride.
            width: f, of all maps inside and of those that come out.
        """
        super().__init__()
        self.strides = tuple(sorted(channels))
        coarser = self.strides[1:]
        self.lateral = _per_level({s: _conv(channels[s], width, 1) for s in self.strides})
        self.downward = _per_level({s: _conv(width, width) for s in self.strides[:-1]})
        self.shrink = _per_level({s: _conv(width, width, stride=2) for s in coarser})
        self.upward = _per_level({s: _conv(2 * width, width) for s in coarser})

    def forward(
        self, features: Mapping[int, Tensor], padding: Tensor | None = None
    ) -> dict[int, Tensor]:
        """Map (B, C_s, h, w) by stride s, of any sizes, to (B, f, h, w) by stride."""
        return self._coarsened(self._refined(features, padding), padding)

    def _refined(
        self, features: Mapping[int, Tensor], padding: Tensor | None
    ) -> dict[int, Tensor]:
        """Go from coarse to fine and return P_l."""
        levels: dict[int, Tensor] = {}
        coarse: Tensor | None = None
        for stride in reversed(self.strides):
            fine = self.lateral[str(stride)](features[stride], padding)
            if coarse is not None:
                fine = fine + resize(coarse, fine.shape[-2:], padding)
                fine = self.downward[str(stride)](fine, padding)
            levels[stride] = coarse = fine
        return levels

    def _coarsened(
        self, levels: Mapping[int, Tensor], padding: Tensor | None
    ) -> dict[int, Tensor]:
        """Go from fine to coarse and return N_l."""
        out = {self.strides[0]: levels[self.strides[0]]}
        for fine, stride in pairwise(self.strides):
            shrunk = self.shrink[str(stride)](out[fine], padding)
            # Odd sizes are rounded up here and down in the encoder.
            shrunk = resize(shrunk, levels[stride].shape[-2:], padding)
            both = torch.cat((levels[stride], shrunk), 1)
            out[stride] = self.upward[str(stride)](both, padding)
        return out


def _per_level(layers: Mapping[int, nn.Module]) -> nn.ModuleDict:
    return nn.ModuleDict({str(stride): layer for stride, layer in layers.items()})


def _conv(channels: int, out: int, kernel: int = 3, *, stride: int = 1) -> ConvNorm:
    return ConvNorm(channels, out, kernel, stride=stride, activation='relu')
