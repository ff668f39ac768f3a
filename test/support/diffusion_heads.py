"""Small detection heads and pyramids for tests."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import interpolate

from thermal_perception.models.e2e_mfd.config import DiffusionHeadConfig
from thermal_perception.models.e2e_mfd.head import DiffusionHead

TINY = {
    'proposals': 12,
    'stages': 2,
    'num_heads': 2,
    'dynamic_width': 4,
    'ffn_dim': 24,
    'time_dim': 20,
    'roi_size': 3,
}
WIDTH = 8


def tiny_head(*, classes=3, lively=False, **changes):
    """Return a head with the same random weights on every call.

    Args:
        classes: K.
        lively: let time, classes and moves of boxes count, which they hardly do at the start.
        changes: of the config.
    """
    torch.manual_seed(0)
    head = DiffusionHead(DiffusionHeadConfig(**{**TINY, **changes}), WIDTH, classes).eval()
    if lively:
        for stage in head.stages:
            nn.init.normal_(stage.modulation.linear.weight, std=0.2)
            nn.init.normal_(stage.box_deltas.weight, std=0.1)
            nn.init.zeros_(stage.class_logits.bias)
    return head


def random_pyramid(height=64, width=96, *, batch=1, seed=1):
    """Return random but smooth maps of an image of height x width pixels, by stride."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(batch, WIDTH, 4, 6, generator=generator)
    return {
        stride: interpolate(coarse, (height // stride, width // stride), mode='bilinear')
        for stride in (4, 8, 16, 32)
    }


def image_sizes(*sizes):
    """Return (B, 2) heights and widths."""
    return torch.tensor(sizes, dtype=torch.float32)
