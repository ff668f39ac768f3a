"""Selective multi-scale fusion: one token map as a per-image mixture of four backbone scales."""

from __future__ import annotations

from contextlib import nullcontext
import math
from typing import NamedTuple, TYPE_CHECKING

import torch
from torch import nn, Tensor
import torch.nn.functional as F

from thermal_perception.models.layers import masked_group_norm

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from thermal_perception.models.config import FusionDetrConfig


class FusionOutput(NamedTuple):
    """Result of the fusion of S scales.

    Attributes:
        features: (B, d, H, W) fused map at the grid's stride.
        alpha_hat: (B, S) final weights.
        alpha: (B, S) image-dependent part, softmax of `logits`.
        prior: (S,) softmax of the learned `w`.
        logits: (B, S) z.
        beta_bar: (B, d) mixed scale embedding, zero where the encoding is off.
    """

    features: Tensor
    alpha_hat: Tensor
    alpha: Tensor
    prior: Tensor
    logits: Tensor
    beta_bar: Tensor

    @property
    def entropy(self) -> Tensor:
        """(B,) entropy of `alpha_hat` in nats; ln(S) when all scales weigh the same."""
        return -torch.special.xlogy(self.alpha_hat, self.alpha_hat).sum(-1)

    @property
    def dominant(self) -> Tensor:
        """(B,) index of the scale with the largest final weight."""
        return self.alpha_hat.argmax(-1)

    @property
    def beta_norm(self) -> Tensor:
        """(B,) Euclidean norm of `beta_bar`."""
        return self.beta_bar.norm(dim=-1)


def masked_mean(features: Tensor, padding: Tensor | None) -> Tensor:
    """Average (B, C, H, W) over the valid cells of (B, H, W), True where padded -> (B, C)."""
    if padding is None:
        return features.mean((2, 3))
    valid = (~padding)[:, None].to(features.dtype)
    return (features * valid).sum((2, 3)) / valid.sum((2, 3)).clamp(min=1)


def resize_mask(padding: Tensor, size: Sequence[int]) -> Tensor:
    """Resize a (B, H, W) bool mask by nearest neighbour to (height, width)."""
    return F.interpolate(padding[:, None].float(), size=tuple(size), mode='nearest')[:, 0] > 0.5


def align(features: Tensor, size: torch.Size) -> Tensor:
    """Resize (B, C, H, W) bilinearly, half-pixel centres, to `size` (height, width)."""
    height, width = size
    if features.shape[-2:] == size:
        return features
    if features.shape[-2:] == (2 * height, 2 * width):
        return F.avg_pool2d(features, 2)  # equals bilinear at exactly one half
    return F.interpolate(features, size=(height, width), mode='bilinear', align_corners=False)


class ScaleProjection(nn.Module):
    """Project one backbone level to d channels; padded cells become zero."""

    def __init__(self, channels: int, d_model: int, *, norm: bool) -> None:
        """Create the 1x1 convolution, Xavier-uniform with zero bias, and the optional norm."""
        super().__init__()
        self.conv = nn.Conv2d(channels, d_model, 1)
        self.norm = nn.GroupNorm(32, d_model) if norm else None
        nn.init.xavier_uniform_(self.conv.weight)
        nn.init.zeros_(self.conv.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, padding: Tensor | None = None) -> Tensor:
        """Map (B, C, H, W) to (B, d, H, W), given the image's padding (B, h, w) or None."""
        x = self.conv(x)
        if padding is None:
            return x if self.norm is None else self.norm(x)
        valid = (~resize_mask(padding, x.shape[-2:]))[:, None].to(x.dtype)
        if self.norm is not None:
            x = masked_group_norm(x, self.norm, valid)
        return x * valid


class SelectiveFusion(nn.Module):
    """Mix S aligned maps with weights softmax(z + w), z from the image, w learned.

    The product of two softmaxes, renormalised, equals one softmax of the summed logits; that
    form never divides two small numbers. Source: spec section 5 of the system's description,
    "Selective Multi-Scale Fusion with DETR for Thermal Object Detection".
    """

    def __init__(self, config: FusionDetrConfig) -> None:
        """Start as the plain average: query projection, w and the convolution's delta are zero."""
        super().__init__()
        d, scales = config.d_model, config.num_scales
        self.mode = config.fusion
        self.divisor = _divisor(config.scale, d)
        if self.mode == 'selective':
            self.query = nn.Linear(scales * d, d)
            keys = [nn.Linear(d, d) for _ in range(1 if config.share_keys else scales)]
            nn.init.zeros_(self.query.weight)
            nn.init.zeros_(self.query.bias)
            for key in keys:  # not zero too, or neither would ever get a gradient
                nn.init.xavier_uniform_(key.weight)
                nn.init.zeros_(key.bias)
            self.keys = nn.ModuleList(keys)
        self.w = nn.Parameter(torch.zeros(scales), requires_grad=self.mode != 'uniform')
        self.beta = nn.Parameter(torch.randn(scales, d) * 0.02) if config.scale_pe else None
        self.conv = nn.Conv2d(d, d, 3, padding=1)
        if config.fuse_init == 'dirac':
            nn.init.dirac_(self.conv.weight)
            nn.init.zeros_(self.conv.bias)  # type: ignore[arg-type]
        else:
            nn.init.xavier_uniform_(self.conv.weight)

    def forward(self, scales: Sequence[Tensor], padding: Tensor | None = None) -> FusionOutput:
        """Fuse S maps (B, d, H, W), given padding (B, H, W) bool or None."""
        z = self._logits(scales, padding)
        w = torch.zeros_like(self.w) if self.mode == 'uniform' else self.w
        alpha_hat = (z + w.float()).softmax(-1)
        mixed = self.mix(scales, alpha_hat.to(scales[0].dtype))
        return FusionOutput(
            self.conv(mixed),
            alpha_hat,
            z.softmax(-1),
            w.float().softmax(-1),
            z,
            self._mixed_embedding(alpha_hat),
        )

    @staticmethod
    def mix(scales: Sequence[Tensor], weights: Tensor) -> Tensor:
        """Return the weighted sum of S maps (B, d, H, W).

        Weights are (B, S) for the image, (B, S, H, W) for every cell, or (B, S, g, g) for regions
        of the image, between which they are interpolated.
        """
        if weights.dim() == 2:
            weights = weights[:, :, None, None]  # [batch, scales, 1, 1]
        elif weights.shape[-2:] != scales[0].shape[-2:]:
            weights = align(weights, scales[0].shape[-2:])
        return sum(weights[:, s, None] * f for s, f in enumerate(scales))  # type: ignore[return-value]

    def _logits(self, scales: Sequence[Tensor], padding: Tensor | None) -> Tensor:
        if self.mode != 'selective':
            return self.w.new_zeros(len(scales[0]), len(scales), dtype=torch.float32)
        with _full_precision(scales[0].device):
            pooled = [masked_mean(f.float(), padding) for f in scales]
            q = self.query(torch.cat(pooled, dim=-1))  # [batch, d]
            keys = [self.keys[s % len(self.keys)](p) for s, p in enumerate(pooled)]
            return torch.stack([(q * k).sum(-1) for k in keys], dim=-1) / self.divisor

    def _mixed_embedding(self, alpha_hat: Tensor) -> Tensor:
        if self.beta is None:
            return alpha_hat.new_zeros(len(alpha_hat), self.conv.out_channels)
        return alpha_hat @ self.beta.float()


def _full_precision(device: torch.device) -> AbstractContextManager[object]:
    if device.type == 'meta':  # knows shapes only, and no autocast
        return nullcontext()
    return torch.autocast(device.type, enabled=False)


def _divisor(scale: str | float, d_model: int) -> float:
    """Return C of z = <q, k> / C; the source leaves open whether it is d or its root."""
    if scale == 'sqrt_dim':
        return math.sqrt(d_model)
    return float(d_model) if scale == 'dim' else float(scale)
