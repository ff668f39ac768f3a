"""How much each voxel on the ray of a cell counts.

An image shows one thing in every direction, at one distance. Lifted as published, it fills all
voxels of the ray alike, also those behind a bus; where both cameras look, what one does not see
then dilutes what the other does. So the network may tell, for every cell, which distances count.
"""

from __future__ import annotations

import math

from torch import nn, Tensor

NEAREST_M, FARTHEST_M = 2.0, 128.0  # ends of the first and the last bin that matter
_TRUST = 2.0  # logit at first: nearly all of every ray counts


def ray_bin(depth_m: Tensor, bins: int) -> Tensor:
    """Return the int64 bin of depths in metres, of the same shape.

    Bins grow with the distance, each by the same factor; the outer ones take what lies beyond.
    """
    share = (depth_m.clamp(NEAREST_M, FARTHEST_M) / NEAREST_M).log()
    return (share * (bins / math.log(FARTHEST_M / NEAREST_M))).long().clamp(max=bins - 1)


def bin_centres_m(bins: int) -> list[float]:
    """Return the depth in the middle of each bin, metres."""
    factor = (FARTHEST_M / NEAREST_M) ** (1 / bins)
    return [NEAREST_M * factor ** (index + 0.5) for index in range(bins)]


class RayWeights(nn.Module):
    """Two convolutions on the map of one camera."""

    def __init__(self, width: int, bins: int) -> None:
        """Create them such that all distances count the same."""
        super().__init__()
        self.context = nn.Conv2d(width, width, 3, padding=1)
        self.weigh = nn.Conv2d(width, bins, 1)
        nn.init.zeros_(self.weigh.weight)
        nn.init.constant_(self.weigh.bias, _TRUST)  # type: ignore[arg-type]

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, width, h, w) to the logits (B, bins, h, w) of the weights."""
        return self.weigh(self.context(features).relu())
