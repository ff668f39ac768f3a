"""Bring maps to the full resolution of two images, whose detail tells where they change."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from thermal_perception.models.padding import blank, enlarge

if TYPE_CHECKING:
    from torch import Tensor

    ImagePair = tuple[Tensor, Tensor]


def guided_enlarge(
    maps: Tensor,
    *,
    guide: ImagePair,
    reduced: ImagePair,
    radius: int,
    epsilon: float,
    padding: Tensor | None = None,
) -> Tensor:
    """Enlarge maps bilinearly and add the detail of two images that the reduction took away.

    Around every cell the maps are a straight line of both images; its slopes say how much of the
    detail each map takes. Two images, because an edge may be in one alone: guided by their mean,
    maps blur across such edges, and glow beside them.

    The published filter also takes the maps' values from those lines, so that what is in neither
    image is lost. Here the maps are enlarged bilinearly and only detail is added: where the lines
    do not fit, little is lost against a bilinear enlargement.

    Args:
        maps: (B, M, h, w), best on a scale without limits, such as logits.
        guide: both images, each (B, 1, H, W) in 0..1.
        reduced: the same, averaged over the pixels of each cell, each (B, 1, h, w).
        radius: of the window that a line is fitted to, cells.
        epsilon: variance of an image below which its detail counts little.
        padding: (B, h, w) bool, True where padded, or None.

    Returns:
        (B, M, H, W) float32.

    Source: He and Sun, Fast Guided Filter, arXiv 1505.00996, for the lines.
    """
    # In full precision also under autocast: a slope times an image must cancel within the offset.
    maps = maps.float().contiguous()
    slopes = _slopes(maps, reduced, radius=radius, epsilon=epsilon, padding=padding)
    offset = maps - slopes[0] * reduced[0] - slopes[1] * reduced[1]
    offset, first, second = (
        enlarge(x, guide[0].shape[-2:], padding) for x in (offset, *slopes)
    )  # [B, M, H, W]
    return torch.addcmul(torch.addcmul(offset, first, guide[0]), second, guide[1])


def _slopes(
    maps: Tensor, images: ImagePair, *, radius: int, epsilon: float, padding: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Fit `maps` by a line of two images around every cell; return both slopes (B, M, h, w).

    Variances are those of the differences from the local mean. Unlike differences of two means
    they are never negative, and they survive half precision.
    """
    values = torch.cat((*images, maps), 1)
    values = values - _box_mean(values, radius, padding)
    y, v, m = values.split((1, 1, maps.shape[1]), 1)
    products = torch.cat((y * y, y * v, v * v, m * y, m * v), 1)
    means = _box_mean(products, radius, padding)
    yy, yv, vv, my, mv = means.split((1, 1, 1, maps.shape[1], maps.shape[1]), 1)
    yy, vv = yy + epsilon, vv + epsilon
    inverse = 1 / (yy * vv - yv * yv)  # of at least epsilon^2, by Cauchy and Schwarz
    return (vv * my - yv * mv) * inverse, (yy * mv - yv * my) * inverse


def _box_mean(x: Tensor, radius: int, padding: Tensor | None) -> Tensor:
    """Average (B, C, h, w) over squares of 2 * radius + 1 cells, as far as they hold cells."""
    counted = torch.cat((x, torch.ones_like(x[:, :1])), 1)
    sums = _box_sum(blank(counted, padding), radius)
    return sums[:, :-1] / sums[:, -1:].clamp(min=1)


def _box_sum(x: Tensor, radius: int) -> Tensor:
    """Sum squares by a convolution, which takes a tenth of the time of `F.avg_pool2d` on a CPU."""
    channels, size = x.shape[1], 2 * radius + 1
    ones = x.new_ones(channels, 1, size, size)
    x = x.contiguous(memory_format=torch.channels_last)
    return F.conv2d(x, ones, padding=radius, groups=channels).contiguous()
