"""Camera-aware channel masking: channels weighed by where their camera is and how it sees.

Source: EMIFF, arXiv 2402.15272; the sixteen numbers are those of its released code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from thermal_perception.models.emiff.layers import ConvReLU

if TYPE_CHECKING:
    from torch import Tensor

    from thermal_perception.models.emiff.lifting import View

_NUMBERS = 16


class CameraMask(nn.Module):
    """A number in (0, 1) per channel, from the camera alone; both cameras share the module."""

    def __init__(self, width: int, *, reduction: int = 1) -> None:
        """Create it; `reduction` divides the hidden width of the gate."""
        super().__init__()
        hidden = width // reduction
        self.norm = nn.BatchNorm1d(_NUMBERS)
        self.embed = nn.Sequential(
            nn.Linear(_NUMBERS, width), nn.ReLU(inplace=True), nn.Linear(width, width)
        )
        self.gate = nn.Sequential(
            nn.Linear(width, hidden), nn.ReLU(inplace=True), nn.Linear(hidden, width)
        )
        self.before = ConvReLU(width, width)
        self.after = nn.Conv2d(width, width, 1)

    def forward(self, features: Tensor, vectors: Tensor) -> Tensor:
        """Mask (N, width, h, w) by (N, 16) camera vectors -> the same shape."""
        mask = self.mask(vectors)[:, :, None, None]
        return self.after(self.before(features) * mask)

    def mask(self, vectors: Tensor) -> Tensor:
        """Return (N, width) in (0, 1)."""
        return self.gate(self.embed(self.norm(vectors))).sigmoid()


def camera_vector(view: View) -> Tensor:
    """Return (B, 16): fx, fy, cx, cy, then the upper 3x4 of `T_camera_lidar` row by row."""
    K = view.K
    intrinsics = torch.stack((K[:, 0, 0], K[:, 1, 1], K[:, 0, 2], K[:, 1, 2]), -1)
    return torch.cat((intrinsics, view.T_camera_lidar[:, :3].flatten(1)), 1)
