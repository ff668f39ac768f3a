"""Sine position encodings of grid cells and of boxes.

Source: Carion et al., DETR, arXiv 2005.12872; Liu et al., DAB-DETR, arXiv 2201.12329.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

_TEMPERATURE = 10000.0


def _frequencies(features: int, like: Tensor) -> Tensor:
    index = torch.arange(features, dtype=torch.float32, device=like.device)
    return _TEMPERATURE ** (2 * torch.div(index, 2, rounding_mode='floor') / features)


def _waves(values: Tensor, frequencies: Tensor) -> Tensor:
    """Encode (...) values as (..., F): sine on even features, cosine on odd ones.

    Cosines as sines of what is a quarter turn ahead: nothing has to be taken apart.
    """
    odd = torch.arange(len(frequencies), device=values.device) % 2
    return (values[..., None] / frequencies + odd * (math.pi / 2)).sin()


def sine_grid(padding: Tensor, channels: int) -> Tensor:
    """Encode the cells of a grid, counting valid cells only.

    Args:
        padding: (B, H, W) bool, True where padded.
        channels: features of the result; half for y (first), half for x.

    Returns:
        (B, channels, H, W) float32.
    """
    valid = (~padding).float()
    y, x = valid.cumsum(1), valid.cumsum(2)
    y = y / (y[:, -1:, :] + 1e-6) * 2 * math.pi
    x = x / (x[:, :, -1:] + 1e-6) * 2 * math.pi
    frequencies = _frequencies(channels // 2, valid)
    encoded = [_waves(axis, frequencies) for axis in (y, x)]
    return torch.cat(encoded, dim=-1).permute(0, 3, 1, 2)  # [batch, channels, height, width]


def sine_boxes(boxes_cxcywh_norm: Tensor, channels_each: int) -> Tensor:
    """Encode boxes.

    Args:
        boxes_cxcywh_norm: (..., 4) in 0..1.
        channels_each: features per coordinate, in the order cy, cx, w, h.

    Returns:
        (..., 4 * channels_each) float32.
    """
    cx, cy, w, h = (boxes_cxcywh_norm.float() * 2 * math.pi).unbind(-1)
    values = torch.stack((cy, cx, w, h), dim=-1)
    return _waves(values, _frequencies(channels_each, values)).flatten(-2)
