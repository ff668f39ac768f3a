"""Multi-scale cross attention: correct each scale, then let the vehicle ask for the best ones.

Source: EMIFF, arXiv 2402.15272; where text and released code differ, the code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn, Tensor
import torch.nn.functional as F

from thermal_perception.models.emiff.compression import SCALES
from thermal_perception.models.emiff.deformable import DeformableConv
from thermal_perception.models.emiff.layers import double_conv

if TYPE_CHECKING:
    from collections.abc import Sequence


class ScaleCorrection(nn.Module):
    """Deformable convolution, norm, ReLU; then to the size of the finest scale step by step."""

    def __init__(self, width: int, scale: int) -> None:
        """Create it for a scale, 0 the finest."""
        super().__init__()
        self.deform = DeformableConv(width, width)
        self.norm = nn.BatchNorm2d(width)
        self.enlarges = scale > 0
        self.refine = nn.ModuleList(double_conv(width) for _ in range(max(1, scale)))

    def forward(self, x: Tensor, sizes: Sequence[torch.Size]) -> Tensor:
        """Map (B, width, h, w) to (B, width, *sizes[-1]).

        Args:
            x: the map.
            sizes: (height, width) of all finer scales, the next finer one first; of the finest
                itself none.
        """
        x = self.norm(self.deform(x)).relu_()
        if not self.enlarges:
            return self.refine[0](x)
        for refine, size in zip(self.refine, sizes):
            x = refine(F.interpolate(x, size, mode='bilinear', align_corners=True))
        return x


class Correction(nn.Module):
    """One correction per scale, for one camera."""

    def __init__(self, width: int) -> None:
        """Create them; no weights are shared."""
        super().__init__()
        self.scales = nn.ModuleList(ScaleCorrection(width, scale) for scale in range(SCALES))

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Bring four maps, finest first, to (B, 4, width, h, w) of the finest, not negative."""
        sizes = [m.shape[-2:] for m in maps]
        corrected = [
            scale(x, sizes[:index][::-1])
            for index, (scale, x) in enumerate(zip(self.scales, maps))
        ]
        return torch.stack(corrected, 1)


def scale_weights(query: Tensor, keys: Tensor) -> Tensor:
    """Return (B, S) shares, which sum to one, of S scales.

    Both sides are averaged over their cells: nothing is learned, no pixel is told from another.

    Args:
        query: (B, C, h, w) of the vehicle.
        keys: (B, S, C, h, w) of the infrastructure.
    """
    q = query.mean((2, 3))  # [batch, C]
    k = keys.mean((3, 4))  # [batch, S, C]
    return torch.softmax((k @ q[..., None])[..., 0] / q.shape[1] ** 0.5, -1)


def weighed(maps: Tensor, weights: Tensor) -> Tensor:
    """Sum (B, S, C, h, w) by (B, S) shares -> (B, C, h, w)."""
    return (maps * weights[:, :, None, None, None]).sum(1)
