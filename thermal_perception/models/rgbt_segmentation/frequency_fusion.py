"""Fusion at the fine stages: RGB is corrected by the low and the high frequencies of thermal.

Source: "Frequency-Guided Fusion For RGB-Thermal Semantic Segmentation", arXiv 2605.26273, and its
released code.
"""

from __future__ import annotations

from typing import NamedTuple, TYPE_CHECKING

import torch
from torch import nn, Tensor
import torch.nn.functional as F

from thermal_perception.models.conv_norm import ConvNorm, kaiming
from thermal_perception.models.padding import blank
from thermal_perception.models.rgbt_segmentation.fused import Fused
from thermal_perception.models.rgbt_segmentation.layers import average, ChannelGate
from thermal_perception.models.rgbt_segmentation.spatial_attention import SpatialAttention

if TYPE_CHECKING:
    from thermal_perception.models.rgbt_segmentation.config import Border

_SIDE = 7  # of the Gaussian, cells
_SIGMA = 2.0


class Bands(NamedTuple):
    """A map (B, C, h, w) as the sum of its low and its high spatial frequencies."""

    low: Tensor
    high: Tensor


class GaussianSplit(nn.Module):
    """A fixed depthwise Gaussian, 7x7 with sigma 2 cells, and what it leaves over.

    The kernel is a buffer that is never trained. It is applied row by row and column by column,
    which is the same filter.
    """

    def __init__(self, border: Border = 'zero') -> None:
        """Create the kernel; see `RgbtSegmentationConfig.blur_border`."""
        super().__init__()
        self.border = border
        offsets = torch.arange(_SIDE) - _SIDE // 2
        taps = torch.exp(-0.5 * (offsets / _SIGMA) ** 2)
        taps = taps / taps.sum()
        self.kernel: Tensor
        self.register_buffer('kernel', taps[:, None] * taps)

    def forward(self, x: Tensor, padding: Tensor | None = None) -> Bands:
        """Split (B, C, h, w), zero where padded."""
        low = blank(self._blurred(x), padding)
        return Bands(low, x - low)

    def _blurred(self, x: Tensor) -> Tensor:
        half, channels = _SIDE // 2, x.shape[1]
        if self.border == 'replicate':
            x = F.pad(x, (half,) * 4, mode='replicate')
        reach = 0 if self.border == 'replicate' else half
        taps = self.kernel.sum(0).expand(channels, 1, 1, _SIDE)
        rows = F.conv2d(x, taps, padding=(0, reach), groups=channels)
        return F.conv2d(rows, taps.transpose(2, 3), padding=(reach, 0), groups=channels)


class FrequencyFusion(nn.Module):
    """RGB plus a correction made from RGB and from thermal, whose two bands are weighed apart.

    Heat blobs are in the low band, thin edges in the high one. The correction may subtract: there
    is no activation behind it.
    """

    def __init__(
        self,
        channels: int,
        thermal_channels: int | None = None,
        *,
        confidence_gate: bool = True,
        border: Border = 'zero',
    ) -> None:
        """Create the module.

        Args:
            channels: C of the RGB map.
            thermal_channels: of the thermal map; None: as many.
            confidence_gate: scale what the correction sees of RGB by one number per image.
            border: see `RgbtSegmentationConfig.blur_border`.
        """
        super().__init__()
        self.projection = ConvNorm(thermal_channels or channels, channels, activation='gelu')
        self.split = GaussianSplit(border)
        self.low_attention = SpatialAttention(7, first='mean')
        self.high_attention = SpatialAttention(3, first='mean')
        self.band_mixing = kaiming(nn.Conv2d(2 * channels, channels, 1, bias=False), gain=1.0)
        self.confidence = ChannelGate(channels, channels // 2, 1) if confidence_gate else None
        self.correction = nn.ModuleList(
            (ConvNorm(2 * channels, channels, 3, activation='relu'), ConvNorm(channels, channels))
        )

    def forward(self, *, rgb: Tensor, thermal: Tensor, padding: Tensor | None = None) -> Fused:
        """Fuse two maps of one size, both zero where padded.

        Args:
            rgb: (B, C, h, w).
            thermal: (B, C_thermal, h, w).
            padding: (B, H, W) bool or None.

        Returns:
            The corrected RGB map; readings `rgb_confidence` (with the gate) and `low_share`, the
            mean share of the low band.
        """
        bands = self.attended(self.split(self.projection(thermal, padding), padding))
        share = self.low_share(bands, padding)
        mixed = share * bands.low + (1 - share) * bands.high
        readings = {'low_share': share.mean((1, 2, 3))}
        seen = rgb
        if self.confidence is not None:
            confidence = self.confidence(rgb, padding)  # [batch, 1, 1, 1]
            readings['rgb_confidence'] = confidence.flatten()
            seen = confidence * rgb
        return Fused(rgb + self._corrected(torch.cat((seen, mixed), 1), padding), readings)

    def attended(self, bands: Bands) -> Bands:
        """Weigh both bands by where in the image they matter."""
        low, high = bands
        return Bands(low * self.low_attention(low), high * self.high_attention(high))

    def low_share(self, bands: Bands, padding: Tensor | None = None) -> Tensor:
        """Return a, (B, C, 1, 1): the share of the low band in each channel."""
        energy = [average(band.abs(), padding) for band in bands]
        return self.band_mixing(torch.cat(energy, 1)).sigmoid()

    def _corrected(self, x: Tensor, padding: Tensor | None) -> Tensor:
        for layer in self.correction:
            x = layer(x, padding)
        return x
