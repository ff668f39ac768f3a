"""Boxes that the head starts from; what they are made of is told in `models/boxes_3d.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from thermal_perception.models.emiff.config import EmiffConfig

YAWS_RAD = (0.0, 1.57)


def make_anchors(config: EmiffConfig) -> Tensor:
    """Return (ny, nx, A, 7) float32 anchors at the middles of the cells, kind by kind."""
    grid = config.grid
    nx, ny, _ = grid.counts
    x = grid.low_m[0] + (torch.arange(nx) + 0.5) * grid.step_m[0]
    y = grid.low_m[1] + (torch.arange(ny) + 0.5) * grid.step_m[1]
    kinds = torch.tensor(
        [(a.bottom_m, *a.size_m, yaw) for a in config.anchors for yaw in YAWS_RAD]
    )  # [A, 5]
    shape = (ny, nx, len(kinds))
    places = torch.stack(torch.meshgrid(y, x, indexing='ij')[::-1], -1)  # [ny, nx, (x, y)]
    return torch.cat(
        (places[:, :, None].expand(*shape, 2), kinds.expand(*shape, 5)), -1
    ).contiguous()
