"""Region branches: where, and with what, a pyramid level speaks to the fused image."""

from __future__ import annotations

from typing import NamedTuple, TYPE_CHECKING

import torch
from torch import nn, Tensor
import torch.nn.functional as F

from thermal_perception.models.conv_norm import ConvNorm, kaiming
from thermal_perception.models.fusion import masked_mean

if TYPE_CHECKING:
    from thermal_perception.models.e2e_mfd.config import OrpptConfig

_SQUEEZED = 32  # values between the two linear layers of the selective-kernel unit


class RegionOutput(NamedTuple):
    """What one level says, and where.

    Attributes:
        features: (B, C, h, w) phi.
        masks: (B, M, h, w) A, never negative.
    """

    features: Tensor
    masks: Tensor

    def selected(self) -> Tensor:
        """Return (B, M * C, h, w): the features under each mask, one mask after the other."""
        return torch.cat([mask * self.features for mask in self.masks.split(1, 1)], 1)

    def project(self, weight: Tensor) -> Tensor:
        """Return what a 1x1 convolution makes of `selected`, without making that.

        A mask has one value per cell, so it may as well select from the narrower maps that the
        convolution makes of the features; on a CPU this takes a third of the time.

        Args:
            weight: (W, M * C, 1, 1) of the convolution.

        Returns:
            (B, W, h, w).
        """
        stacked = torch.cat(weight.split(self.features.shape[1], 1))  # [M * W, C, 1, 1]
        parts = F.conv2d(self.features, stacked).split(len(weight), 1)
        masks = self.masks.split(1, 1)
        total = masks[0] * parts[0]
        for mask, part in zip(masks[1:], parts[1:]):
            total = torch.addcmul(total, mask, part)
        return total


class RegionBranch(nn.Module):
    """Features of one pyramid level and M masks over them.

    Source: Zhang et al., arXiv 2403.09323, section 3.2 (`prompt`), and its released code (`sk`).
    """

    def __init__(self, config: OrpptConfig, channels: int) -> None:
        """Create the branch for a level of C channels."""
        super().__init__()
        masks = config.region_masks
        prompts = config.region == 'prompt'
        convolve = prompts and config.region_features == 'conv'
        self.features = ConvNorm(channels, channels, 3, activation='relu') if convolve else None
        # How well a cell matches M learned vectors is a 1x1 convolution with M outputs.
        self.masks: nn.Module = (
            ConvNorm(channels, masks, activation='relu')
            if prompts
            else SelectiveKernel(channels, masks)
        )

    def forward(self, level: Tensor, padding: Tensor | None = None) -> RegionOutput:
        """Look at (B, C, h, w), with padding (B, h, w) True where padded, or None."""
        features = level if self.features is None else self.features(level, padding)
        return RegionOutput(features, self.masks(features, padding))


class SelectiveKernel(nn.Module):
    """Masks from a near and a wide look, in shares that the whole image decides.

    Per mask, the shares of the two looks sum to one. (The released code lets the shares of the
    masks sum to one instead, per look.)

    Source: Li et al., Selective Kernel Networks, arXiv 1903.06586.
    """

    def __init__(self, channels: int, masks: int) -> None:
        """Create the two 3x3 convolutions, one of them dilated, and the two linear layers."""
        super().__init__()
        self.near = ConvNorm(channels, masks, 3, activation='relu')
        self.wide = ConvNorm(channels, masks, 3, dilation=2, activation='relu')
        self.squeeze = kaiming(nn.Linear(masks, _SQUEEZED))
        self.excite = kaiming(nn.Linear(_SQUEEZED, 2 * masks))

    def forward(self, x: Tensor, padding: Tensor | None = None) -> Tensor:
        """Map (B, C, h, w) to masks (B, M, h, w)."""
        near, wide = self.near(x, padding), self.wide(x, padding)
        squeezed = F.relu(self.squeeze(masked_mean(near + wide, padding)))
        shares = self.excite(squeezed).unflatten(1, (-1, 2)).softmax(-1)  # [B, M, look]
        shares = shares[..., None, None]
        return near * shares[:, :, 0] + wide * shares[:, :, 1]
