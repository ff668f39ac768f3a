"""What every fusion module gives, and the plainest of them."""

from __future__ import annotations

from typing import NamedTuple

from torch import nn, Tensor


class Fused(NamedTuple):
    """What a fusion module gives.

    Attributes:
        features: (B, C, h, w), the shape of the RGB features.
        readings: (B,) numbers in 0..1 by name that tell how the module judged its inputs.
    """

    features: Tensor
    readings: dict[str, Tensor]


class Addition(nn.Module):
    """The sum of both maps, without any parameter: what the other modules are measured against."""

    def forward(self, *, rgb: Tensor, thermal: Tensor, padding: Tensor | None = None) -> Fused:
        """Add two maps (B, C, h, w) that are zero where padded."""
        return Fused(rgb + thermal, {})
