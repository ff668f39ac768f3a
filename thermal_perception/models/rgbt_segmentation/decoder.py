"""From fused maps to the classes of every pixel."""

from __future__ import annotations

from typing import NamedTuple, TYPE_CHECKING

import torch
from torch import nn, Tensor

from thermal_perception.models.conv_norm import ConvNorm
from thermal_perception.models.padding import blank, padding_at
from thermal_perception.models.rgbt_segmentation.layers import ChannelGate, resize
from thermal_perception.models.rgbt_segmentation.pyramid import PanPyramid

if TYPE_CHECKING:
    from collections.abc import Mapping

_AUXILIARY_LEVEL = 2  # third finest


class Decoded(NamedTuple):
    """Logits (B, K, H, W) at the size of the images.

    Attributes:
        logits: the result.
        auxiliary: of the third level alone; None unless training.
        deep: of each level alone, finest first; empty unless training.
    """

    logits: Tensor
    auxiliary: Tensor | None
    deep: tuple[Tensor, ...]


class Decoder(nn.Module):
    """Pyramid, global context, aggregation at the finest level, and the heads."""

    def __init__(
        self, channels: Mapping[int, int], width: int, num_classes: int, *, dropout: float = 0.1
    ) -> None:
        """Create the decoder.

        Args:
            channels: of the fused maps by stride.
            width: f, of all maps inside.
            num_classes: K.
            dropout: share of channels left out before the main classifier, in training.
        """
        super().__init__()
        self.pyramid = PanPyramid(channels, width)
        self.context = ChannelGate(channels[max(channels)], width, width, bias=True)
        self.aggregate = nn.ModuleList(
            (
                ConvNorm(len(channels) * width, 2 * width, 3, activation='relu'),
                ConvNorm(2 * width, width, 3, activation='relu'),
            )
        )
        self.main = Head(width, width, num_classes, dropout=dropout)
        self.auxiliary = Head(width, width // 2, num_classes)
        self.deep = nn.ModuleList(nn.Conv2d(width, num_classes, 1) for _ in channels)

    def forward(
        self,
        features: Mapping[int, Tensor],
        size: torch.Size,
        padding: Tensor | None = None,
        *,
        enlarge: bool = True,
    ) -> Decoded:
        """Classify every pixel.

        Args:
            features: fused maps (B, C_s, h, w) by stride s, zero where padded.
            size: (height, width) of the images.
            padding: (B, H, W) bool or None.
            enlarge: see `RgbtSegmentation.forward`.
        """
        cells = padding_at(padding, features[min(features)].shape[-2:])
        levels = list(self.pyramid(features, cells).values())  # finest first
        context = self.context_factor(features, cells)
        fine = self._aggregated([level * context for level in levels], cells)
        logits = self.main(fine, cells)
        if not self.training:
            return Decoded(resize(logits, size, padding) if enlarge else logits, None, ())
        auxiliary = self.auxiliary(levels[_AUXILIARY_LEVEL], cells)
        deep = [blank(head(level), cells) for head, level in zip(self.deep, levels)]
        return Decoded(
            resize(logits, size, padding),
            resize(auxiliary, size, padding),
            tuple(resize(x, size, padding) for x in deep),
        )

    def context_factor(self, features: Mapping[int, Tensor], padding: Tensor | None) -> Tensor:
        """Return (B, f, 1, 1) in (0.5, 1): what the coarsest fused map makes of the scene."""
        return 0.5 + 0.5 * self.context(features[max(features)], padding)

    def _aggregated(self, levels: list[Tensor], padding: Tensor | None) -> Tensor:
        size = levels[0].shape[-2:]
        x = torch.cat([resize(level, size, padding) for level in levels], 1)
        for layer in self.aggregate:
            x = layer(x, padding)
        return x


class Head(nn.Module):
    """3x3 convolution, dropout of channels, classifier."""

    def __init__(
        self, channels: int, hidden: int, num_classes: int, *, dropout: float = 0.0
    ) -> None:
        """Create both convolutions."""
        super().__init__()
        self.conv = ConvNorm(channels, hidden, 3, activation='relu')
        self.dropout = nn.Dropout2d(dropout)
        self.classify = nn.Conv2d(hidden, num_classes, 1)

    def forward(self, x: Tensor, padding: Tensor | None = None) -> Tensor:
        """Map (B, C, h, w) to logits (B, K, h, w), zero where padded."""
        return blank(self.classify(self.dropout(self.conv(x, padding))), padding)
