"""Numbers that half precision is too coarse for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor


def precise(x: Tensor) -> Tensor:
    """Return coordinates in single precision, in a network that computes in half precision, too.

    Of a place at the right edge of an image, bf16 knows 2 pixels.

    The detour by double precision changes no number. It stays visible in a traced graph: a
    compiler that rounds what it multiplies is told by it where to stop, see
    `backends.openvino_parts`.
    """
    return x if x.dtype == torch.float64 else x.double().float()
