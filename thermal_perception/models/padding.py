"""Work on maps of padded images as if each image ended where its padding starts.

A padding is (B, h, w) bool, True where padded, or None when no image of the batch is; unless said
otherwise at any resolution of its images. Padded cells are held at zero, which is what a
convolution sees beyond the border, and are left out of every average.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from thermal_perception.errors import PreprocessError
from thermal_perception.models.fusion import align, resize_mask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn, Tensor


def padding_at(padding: Tensor | None, size: Sequence[int]) -> Tensor | None:
    """Return the padding of a map of `size` (height, width); a partly padded cell is valid."""
    if padding is None or padding.shape[-2:] == tuple(size):
        return padding
    return resize_mask(padding, size)


def padding_around(content: tuple[int, int], images: Tensor) -> Tensor | None:
    """Return the padding of (B, C, H, W) images that all end at `content` (height, width)."""
    if content == images.shape[-2:]:
        return None
    padding = torch.ones_like(images[:, 0], dtype=torch.bool)
    padding[:, : content[0], : content[1]] = False
    return padding


def cells_of(
    content: tuple[int, int], padded: Sequence[int], size: Sequence[int]
) -> tuple[int, int]:
    """Return how many (rows, columns) of a map of `size` are valid, as `padding_at` has it.

    Args:
        content: (height, width) up to which the images are not padded.
        padded: (height, width) of the images.
        size: (height, width) of the map.
    """
    rows, columns = (-(-c * cells // whole) for c, whole, cells in zip(content, padded, size))
    return rows, columns


def blank(x: Tensor, padding: Tensor | None, *, inplace: bool = False) -> Tensor:
    """Set padded cells of (B, C, h, w), which hold finite numbers, to zero.

    `inplace` allows to write into x itself, which is done while no gradients are recorded.
    """
    cells = padding_at(padding, x.shape[-2:])
    if cells is None:
        return x
    valid = (~cells)[:, None].to(x.dtype)  # a product takes a quarter of the time of masked_fill
    return x.mul_(valid) if inplace and not torch.is_grad_enabled() else x * valid


def reduce(x: Tensor, factor: int, padding: Tensor | None = None) -> Tensor:
    """Average blocks of factor x factor pixels, over those that are not padded.

    Args:
        x: (B, C, H, W); height and width are multiples of `factor`.
        factor: at least 1.
        padding: (B, H, W), of each pixel, or None.

    Returns:
        (B, C, H / factor, W / factor), zero where a whole block is padded.

    Raises:
        PreprocessError: if the size is no multiple of `factor`.
    """
    height, width = x.shape[-2:]
    if height % factor or width % factor:
        raise PreprocessError(f'image: found {height}x{width}, expected multiples of {factor}')
    if factor == 1:
        return blank(x, padding)
    if padding is None:
        return _block_sum(x, factor) / factor**2
    share = _block_sum((~padding)[:, None].to(x.dtype), factor)
    return _block_sum(blank(x, padding), factor) / share.clamp(min=1)


def _block_sum(x: Tensor, factor: int) -> Tensor:
    """Sum blocks; adding strided views takes a third of the time of `F.avg_pool2d` on a CPU."""
    rows = sum((x[..., i::factor, :] for i in range(1, factor)), start=x[..., ::factor, :])
    return sum((rows[..., i::factor] for i in range(1, factor)), start=rows[..., ::factor])


def enlarge(x: Tensor, size: torch.Size, padding: Tensor | None = None) -> Tensor:
    """Resize (B, C, h, w) bilinearly to `size` (height, width); padded cells do not bleed.

    Cells are squares, as for a camera's pixels (`align_corners` off): what a pixel reads does not
    depend on how far its image is padded. The released code aligns corners instead.
    """
    if padding is None or x.shape[-2:] == size:
        return align(x, size)
    cells = padding_at(padding, x.shape[-2:])
    valid = (~cells)[:, None].to(x.dtype)  # type: ignore[operator]
    return align(blank(x, cells), size) / align(valid, size).clamp(min=1e-6)


def batch_norm(x: Tensor, norm: nn.BatchNorm2d, padding: Tensor | None) -> Tensor:
    """Normalise (B, C, h, w); in training by the statistics of the cells that are not padded."""
    padding = padding_at(padding, x.shape[-2:])
    if padding is None or not norm.training:
        return norm(x)
    cells_last = x.permute(0, 2, 3, 1)
    valid = ~padding
    # One cell per image of a pixel: in any other shape the cells are a transposed view, whose
    # gradient torch 2.13 gets wrong on a CPU.
    cells = norm(cells_last[valid][:, :, None, None])[:, :, 0, 0]  # [cells, C]
    return torch.zeros_like(cells_last).index_put((valid,), cells).permute(0, 3, 1, 2)
