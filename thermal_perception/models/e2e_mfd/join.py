"""How what the backbone finds in both images meets: maps by stride in, maps by stride out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

    Maps = dict[int, Tensor]


def add_up(thermal: Maps | None, rgb: Maps | None, present: Tensor | None = None) -> Maps:
    """Return the sum of the maps, (B, C, H/s, W/s) by stride s.

    Where one camera is missing, the other counts twice, so that what follows sees maps of the
    usual size.

    Args:
        thermal: maps (B, C, H/s, W/s) of the thermal image; None if nobody has one.
        rgb: of the colour image; one of the two is there.
        present: (B, 2) bool, which of the two each image has; None: all there are.
    """
    if thermal is None or rgb is None:
        return {stride: 2 * x for stride, x in (thermal or rgb or {}).items()}
    if present is None:
        return {stride: x + rgb[stride] for stride, x in thermal.items()}
    there = present.float()
    share = _by_camera(2 * there / there.sum(1, keepdim=True).clamp(min=1))
    return {stride: share[0] * x + share[1] * rgb[stride] for stride, x in thermal.items()}


def put_side_by_side(
    thermal: Maps | None, rgb: Maps | None, present: Tensor | None = None
) -> Maps:
    """Return the maps of both cameras with 2 C channels, those of a missing camera zero.

    See `add_up` for the arguments.
    """
    thermal, rgb = thermal or _empty(rgb), rgb or _empty(thermal)
    if present is not None:
        share = _by_camera(present.float())
        thermal = {stride: share[0] * x for stride, x in thermal.items()}
        rgb = {stride: share[1] * x for stride, x in rgb.items()}
    return {stride: torch.cat((x, rgb[stride]), dim=1) for stride, x in thermal.items()}


def _by_camera(shares: Tensor) -> Tensor:
    """Make (B, 2) shares multiply maps: (2, B, 1, 1, 1)."""
    return shares.T[..., None, None, None]


def _empty(maps: Maps | None) -> Maps:
    return {stride: torch.zeros_like(x) for stride, x in (maps or {}).items()}
