"""Where objects are: their boxes drawn as masks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from training.e2e_mfd.geometry import OrientedGeometry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thermal_perception.models.denoising import Target


def object_mask(targets: Sequence[Target], image_sizes: Tensor, shape: tuple[int, int]) -> Tensor:
    """Return (B, 1, H, W) bool, True where the centre of a pixel is in the box of an object.

    Oriented boxes are drawn as they lie; the released code takes their hull.

    Args:
        targets: objects of B images, upright or oriented boxes, normalised.
        image_sizes: (B, 2) height and width of the unpadded images, pixels.
        shape: H and W of the padded images.
    """
    masks = [_mask(t.boxes, size, shape) for t, size in zip(targets, image_sizes)]
    return torch.stack(masks)[:, None]


def _mask(boxes: Tensor, size: Tensor, shape: tuple[int, int]) -> Tensor:
    """Return (H, W) bool of boxes (N, 4) or (N, 5)."""
    height, width = shape
    y = (torch.arange(height, device=boxes.device) + 0.5) / size[0]
    x = (torch.arange(width, device=boxes.device) + 0.5) / size[1]
    mask = torch.zeros(shape, dtype=torch.bool, device=boxes.device)
    for box in boxes:  # one by one: a batch of masks of all objects would be large
        mask |= _upright(box, x, y) if len(box) == 4 else _oriented(box, x, y, size)
    return mask


def _upright(box: Tensor, x: Tensor, y: Tensor) -> Tensor:
    columns, rows = (x - box[0]).abs() <= box[2] / 2, (y - box[1]).abs() <= box[3] / 2
    return rows[:, None] & columns


def _oriented(box: Tensor, x: Tensor, y: Tensor, size: Tensor) -> Tensor:
    geometry = OrientedGeometry()
    points = torch.stack(torch.meshgrid(x, y, indexing='xy'), -1)  # [row, column, xy]
    return geometry.holds(geometry.place(box, size), geometry.place(points, size), 0.5)
