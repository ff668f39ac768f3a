"""Brightness of the visible image, and the fused brightness made of it and the thermal image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor


def brightness(rgb: Tensor) -> Tensor:
    """Return V of HSV, the largest of R, G and B: (B, 3, H, W) -> (B, 1, H, W)."""
    red, green, blue = rgb.split(1, 1)
    return torch.maximum(torch.maximum(red, green), blue)


def compose(weights: Tensor, *, thermal: Tensor, visible: Tensor) -> Tensor:
    """Return the fused brightness u = w0 * y + w1 * v.

    The network gives weights and no grey levels, so that every detail of u comes from a camera.

    Args:
        weights: (B, 2, H, W) in 0..1, of thermal and of visible brightness.
        thermal: (B, 1, H, W) y in 0..1.
        visible: (B, 1, H, W) v in 0..1, see `brightness`.

    Returns:
        (B, 1, H, W) in 0..2: weights need not sum to one.

    Source: Zhao et al., MetaFusion, CVPR 2023; the released code of E2E-MFD.
    """
    w0, w1 = weights.split(1, 1)
    return torch.addcmul(w0 * thermal, w1, visible)
