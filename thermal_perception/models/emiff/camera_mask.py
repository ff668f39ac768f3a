"""Camera-aware channel masking: channels weighed by where their camera is and how it sees.

Source: EMIFF, arXiv 2402.15272; the sixteen numbers are those of its released code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
import torch.nn.functional as F

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
        return self.masked(features, self.mask(vectors))

    def masked(self, features: Tensor, mask: Tensor) -> Tensor:
        """Mask (N, width, h, w) by (N, width) -> the same shape."""
        return self.after(self.before(features) * mask[:, :, None, None])

    def mask(self, vectors: Tensor) -> Tensor:
        """Return (N, width) in (0, 1)."""
        return self.gate(self.embed(self._normalised(vectors))).sigmoid()

    def _normalised(self, vectors: Tensor) -> Tensor:
        """Normalise by all cameras seen so far, in training too.

        A batch holds few cameras, often the same ones: by its own statistics nearly nothing would
        be left of them, and nothing like what is seen later.
        """
        norm = self.norm
        assert norm.running_mean is not None and norm.running_var is not None
        if self.training and torch.is_grad_enabled():
            assert norm.num_batches_tracked is not None
            norm.num_batches_tracked += 1
            share = 1 / float(norm.num_batches_tracked)
            with torch.no_grad():
                mean, variance = norm.running_mean, norm.running_var
                off = vectors.mean(0) - mean
                spread = vectors.var(0, unbiased=False) + (1 - share) * off.square()
                mean += share * off
                variance += share * (spread - variance)
        return F.batch_norm(
            vectors, norm.running_mean.clone(), norm.running_var.clone(), norm.weight, norm.bias,
            training=False, eps=norm.eps,
        )  # fmt: skip


def camera_vector(view: View) -> Tensor:
    """Return (B, 16): fx, fy, cx, cy, then the upper 3x4 of `T_camera_lidar` row by row."""
    K = view.K
    intrinsics = torch.stack((K[:, 0, 0], K[:, 1, 1], K[:, 0, 2], K[:, 1, 2]), -1)
    return torch.cat((intrinsics, view.T_camera_lidar[:, :3].flatten(1)), 1)
