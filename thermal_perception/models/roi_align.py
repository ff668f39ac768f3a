"""RoIAlign of upright and turned boxes, on one map or on a pyramid, in plain PyTorch.

A box is divided into bins, a bin is the mean of some points in it, a point is read bilinearly. So
each bin is a weighted sum of cells of the map, with the same weights in every channel. All maps
lie in one table, a row per cell, and an embedding bag, which is a weighted sum of rows, reads the
boxes of all levels at once: nothing is split by level, and what a point reads is never stored. On
a CPU it was many times as fast as `grid_sample`, level by level or on one map that holds all
levels, and faster than gathering rows and multiplying, in inference and with gradients, at every
size tried. Exported graphs gather and multiply, because ONNX knows no embedding bag; ONNX Runtime
and OpenVINO were both faster with that than with their own RoiAlign and GridSample.

Source: He et al., Mask R-CNN, arXiv 1703.06870; where points lie, and what they read at borders,
is that of `torchvision.ops.roi_align` with `aligned=True` and of Detectron2's `ROIAlignRotated`.
"""

from __future__ import annotations

from typing import NamedTuple, TYPE_CHECKING

import torch
from torch import Tensor
import torch.nn.functional as F

from thermal_perception.errors import GeometryError
from thermal_perception.models.boxes import area

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_CELLS_PER_SIDE = 14
"""A box goes to the coarsest map on which its side, the root of its area, has as many cells.

The rule of Feature Pyramid Networks (Lin et al., arXiv 1612.03144, equation 1): a side of 224
pixels belongs to stride 16.
"""


class FlatPyramid(NamedTuple):
    """A pyramid as one table; made once, it serves any number of boxes.

    Attributes:
        cells: (B * sum of H * W, C), level after level, in each image after image, row after row.
        levels: (L, 4) int32: stride, height, width and first row in `cells` of each level.
        strides: of the L levels, ascending.
    """

    cells: Tensor
    levels: Tensor
    strides: tuple[int, ...]


def flatten_pyramid(pyramid: Mapping[int, Tensor]) -> FlatPyramid:
    """Lay maps out for `pyramid_roi_align`: a copy, quicker of maps that are channels last.

    Args:
        pyramid: stride in pixels to (B, C, H, W).
    """
    strides = tuple(sorted(pyramid))
    rows = [pyramid[stride].permute(0, 2, 3, 1).flatten(0, 2) for stride in strides]
    levels, first = [], 0
    for stride, level_rows in zip(strides, rows):
        levels.append((stride, *pyramid[stride].shape[2:], first))
        first += len(level_rows)
    return FlatPyramid(torch.cat(rows), _constant(levels, rows[0].device), strides)


def pyramid_levels(areas_px2: Tensor, strides: Sequence[int]) -> Tensor:
    """Choose the level each box is read from, large boxes from coarse ones.

    For strides 4 to 32 this is clamp(floor(4 + log2(sqrt(area) / 224)), 2, 5), counted from 0.

    Args:
        areas_px2: (...) areas in pixels squared; what is empty goes to the finest level.
        strides: of the levels, ascending.

    Returns:
        (...) int64 indices into `strides`.
    """
    levels = torch.zeros_like(areas_px2, dtype=torch.int64)
    for stride in strides[1:]:
        levels = levels + (areas_px2 >= (_CELLS_PER_SIDE * stride) ** 2)
    return levels


def roi_align(
    features: Tensor,
    boxes_xyxy_px: Tensor,
    batch_index: Tensor,
    *,
    size: int,
    sampling_ratio: int,
    stride: int,
) -> Tensor:
    """Read upright boxes from one map.

    Args:
        features: (B, C, H, W); the centre of its first cell lies at stride / 2 pixels.
        boxes_xyxy_px: (R, 4) corners in pixels of the input image. A negative side mirrors the
            result; a point more than one cell off the map, or one that is not finite, reads 0.
        batch_index: (R,) which of the B images each box is in.
        size: bins along each side of a box.
        sampling_ratio: points along each side of a bin.
        stride: pixels per cell of the map.

    Returns:
        (R, C, size, size) in the dtype of the features, channels last in memory. Gradients reach
        features and boxes; coordinates are computed in float32.

    Raises:
        GeometryError: if boxes have another shape.
    """
    _check(boxes_xyxy_px, dimensions=2, values=(4,))
    return _from_one_map(features, boxes_xyxy_px, batch_index, size, sampling_ratio, stride)


def rotated_roi_align(
    features: Tensor,
    boxes_cxcywha_px: Tensor,
    batch_index: Tensor,
    *,
    size: int,
    sampling_ratio: int,
    stride: int,
) -> Tensor:
    """Read turned boxes from one map, as `roi_align` does.

    Args:
        features: (B, C, H, W).
        boxes_cxcywha_px: (R, 5) centre, width and height in pixels, angle in radians from x
            towards y. Columns of the result lie along the width, rows along the height.
        batch_index: (R,) which of the B images each box is in.
        size: bins along each side of a box.
        sampling_ratio: points along each side of a bin.
        stride: pixels per cell of the map.

    Returns:
        (R, C, size, size).

    Raises:
        GeometryError: if boxes have another shape.
    """
    _check(boxes_cxcywha_px, dimensions=2, values=(5,))
    return _from_one_map(features, boxes_cxcywha_px, batch_index, size, sampling_ratio, stride)


def pyramid_roi_align(
    pyramid: Mapping[int, Tensor] | FlatPyramid,
    boxes_px: Tensor,
    *,
    size: int,
    sampling_ratio: int,
) -> Tensor:
    """Read boxes from a pyramid, each from the level that fits its area.

    Args:
        pyramid: stride in pixels to (B, C, H, W); or what `flatten_pyramid` made of it, which
            saves that work where one pyramid is read several times.
        boxes_px: (B, N, 4) upright boxes xyxy, see `roi_align`, or (B, N, 5) turned ones cxcywha,
            see `rotated_roi_align`.
        size: bins along each side of a box.
        sampling_ratio: points along each side of a bin.

    Returns:
        (B, N, C, size, size), channels last in memory.

    Raises:
        GeometryError: if boxes have another shape.
    """
    _check(boxes_px, dimensions=3, values=(4, 5))
    flat = pyramid if isinstance(pyramid, FlatPyramid) else flatten_pyramid(pyramid)
    batch, count = boxes_px.shape[:2]
    boxes = boxes_px.flatten(0, 1).float()
    image = torch.arange(batch, device=boxes.device)[:, None].expand(batch, count).flatten()
    level = pyramid_levels(_areas(boxes), flat.strides)
    bins = _read(flat, boxes, level, image, size, sampling_ratio)  # [boxes, C, size, size]
    return bins.unflatten(0, (batch, count))


def _check(boxes: Tensor, *, dimensions: int, values: tuple[int, ...]) -> None:
    if boxes.ndim != dimensions or boxes.shape[-1] not in values:
        leading = 'B, N' if dimensions == 3 else 'R'
        last = ' or '.join(map(str, values))
        raise GeometryError(f'boxes: found {tuple(boxes.shape)}, expected ({leading}, {last})')


def _from_one_map(
    features: Tensor, boxes: Tensor, image: Tensor, size: int, ratio: int, stride: int
) -> Tensor:
    flat = flatten_pyramid({stride: features})
    return _read(flat, boxes.float(), torch.zeros_like(image), image, size, ratio)


def _constant(rows: Sequence[Sequence[int]], device: torch.device) -> Tensor:
    """Return a small int32 matrix without copying from the host, which no CUDA graph may do."""
    values = [torch.full((), v, dtype=torch.int32, device=device) for row in rows for v in row]
    return torch.stack(values).unflatten(0, (len(rows), -1))


def _areas(boxes: Tensor) -> Tensor:
    if boxes.shape[-1] == 4:
        return area(boxes)
    return boxes[..., 2:4].clamp(min=0).prod(-1)


def _read(
    flat: FlatPyramid, boxes: Tensor, level: Tensor, image: Tensor, size: int, ratio: int
) -> Tensor:
    """Read (R, 4 or 5) boxes from the (R,) levels of (R,) images as (R, C, size, size)."""
    stride, height, width, first = flat.levels[level][..., None].unbind(1)  # each [boxes, 1]
    x, y = _points(boxes, size, ratio)
    columns = _neighbours(x / stride - 0.5, width)
    rows = _neighbours(y / stride - 0.5, height)
    start = first + image.int()[:, None] * height * width
    index = [start + row * width + column for row, _ in rows for column, _ in columns]
    weights = [v * w / ratio**2 for _, v in rows for _, w in columns]
    bins = _weighted_sums(flat.cells, _by_bin(index, ratio), _by_bin(weights, ratio))
    return bins.unflatten(0, (-1, size, size)).permute(0, 3, 1, 2)


def _points(boxes: Tensor, size: int, ratio: int) -> tuple[Tensor, Tensor]:
    """Return x and y in pixels, each (R, size * size * ratio * ratio), bin after bin."""
    steps = (torch.arange(size * ratio, device=boxes.device) + 0.5) / (size * ratio)
    shape = (size, size, ratio, ratio)  # row and column of the bin, then of the point in it
    across = steps.view(1, size, 1, ratio).expand(shape).flatten()
    down = steps.view(size, 1, ratio, 1).expand(shape).flatten()
    if boxes.shape[1] == 4:
        x1, y1, x2, y2 = boxes[..., None].unbind(1)  # each [boxes, 1]
        return x1 + (x2 - x1) * across, y1 + (y2 - y1) * down
    cx, cy, w, h, angle = boxes[..., None].unbind(1)
    along, beside, cos, sin = w * (across - 0.5), h * (down - 0.5), angle.cos(), angle.sin()
    return cx + along * cos - beside * sin, cy + along * sin + beside * cos


def _neighbours(position: Tensor, length: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Return the two cells around positions along one axis, int32, and their weights.

    Cell i lies at position i. Up to one cell beyond the ends the outermost cell is read, further
    out the weights are 0.
    """
    inside = (position >= -1) & (position <= length)  # False for NaN
    position = torch.where(inside, position, 0).clamp(min=0).minimum(length - 1)
    low = position.detach().floor()
    high = (low + 1).minimum(length - 1)
    total = inside.to(position.dtype)
    high_weight = (position - low) * total
    return [(low.int(), total - high_weight), (high.int(), high_weight)]


def _by_bin(corners: Sequence[Tensor], ratio: int) -> Tensor:
    """Put side by side what the points of a bin read: 4 (R, points) to (bins, 4 * ratio**2)."""
    return torch.cat([values.reshape(-1, ratio**2) for values in corners], dim=1)


def _weighted_sums(table: Tensor, index: Tensor, weights: Tensor) -> Tensor:
    """Return (M, C) sums of the rows (M, T) of a table (N, C), weighted by (M, T)."""
    weights = weights.to(table.dtype)
    if torch.compiler.is_exporting():
        return (weights[:, None] @ F.embedding(index, table))[:, 0]  # [rows, C]
    return F.embedding_bag(index, table, per_sample_weights=weights, mode='sum')
