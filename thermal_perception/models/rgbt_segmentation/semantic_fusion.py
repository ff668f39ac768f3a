"""Fusion at the coarse stages: channels of both cameras are weighed, then refined at two scales.

Source: "Frequency-Guided Fusion For RGB-Thermal Semantic Segmentation", arXiv 2605.26273, and its
released code. What the paper calls cross-modal attention is a channel gate there.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn, Tensor

from thermal_perception.models.conv_norm import ConvNorm
from thermal_perception.models.rgbt_segmentation.fused import Fused
from thermal_perception.models.rgbt_segmentation.layers import ChannelGate, Separable
from thermal_perception.models.rgbt_segmentation.spatial_attention import SpatialAttention

_REDUCTION = 16
_REFINEMENT = 0.1  # initial r


class CameraGates(NamedTuple):
    """How much each channel of each camera counts: (B, C, 1, 1) in (0, 1), independent."""

    rgb: Tensor
    thermal: Tensor


class SemanticFusion(nn.Module):
    """A gated sum of both cameras plus a refinement; either camera can be left out entirely."""

    def __init__(self, channels: int, thermal_channels: int | None = None) -> None:
        """Create the module for C RGB channels and as many thermal ones unless told."""
        super().__init__()
        hidden = channels // _REDUCTION
        self.projection = ConvNorm(thermal_channels or channels, channels, activation='gelu')
        self.cross_gate = ChannelGate(2 * channels, hidden, 2 * channels)
        self.scales = nn.ModuleList(Separable(channels, kernel) for kernel in (3, 5))
        self.merge = ConvNorm(2 * channels, channels)
        self.channel_attention = ChannelGate(channels, hidden, channels)
        self.spatial_attention = SpatialAttention(7, first='max')
        self.refine = Separable(channels, 3)
        self.refinement = nn.Parameter(torch.tensor(_REFINEMENT))

    def forward(self, *, rgb: Tensor, thermal: Tensor, padding: Tensor | None = None) -> Fused:
        """Fuse two maps of one size, both zero where padded.

        Args:
            rgb: (B, C, h, w).
            thermal: (B, C_thermal, h, w).
            padding: (B, H, W) bool or None.

        Returns:
            The fused map; readings `rgb_gate` and `thermal_gate`, means over the channels.
        """
        projected = self.projection(thermal, padding)
        gates = self.gates(rgb, projected, padding)
        union = gates.rgb * rgb + gates.thermal * projected
        features = union + self.refinement * self.refined(union, padding)
        readings = {
            'rgb_gate': gates.rgb.mean((1, 2, 3)),
            'thermal_gate': gates.thermal.mean((1, 2, 3)),
        }
        return Fused(features, readings)

    def gates(self, rgb: Tensor, projected: Tensor, padding: Tensor | None = None) -> CameraGates:
        """Weigh the channels of (B, C, h, w) RGB and of projected thermal by both of them."""
        both = self.cross_gate(torch.cat((rgb, projected), 1), padding)
        return CameraGates(*both.chunk(2, 1))

    def refined(self, union: Tensor, padding: Tensor | None = None) -> Tensor:
        """Look at (B, C, h, w) at two scales, choose channels and places, and smooth."""
        scales = torch.cat([scale(union, padding) for scale in self.scales], 1)
        x = self.merge(scales, padding)
        x = x * self.channel_attention(x, padding)
        x = x * self.spatial_attention(x)
        return self.refine(x, padding)
