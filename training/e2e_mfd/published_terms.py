"""The terms of the published fusion loss.

u is the fused brightness (B, 1, H, W), and sources are the brightness of the visible image and the
thermal image, (B, 2, H, W), in 0..1 and without gradient. Padded pixels are zero in all of them.

Source: Zhang et al., E2E-MFD, arXiv 2403.09323, section 3.5, and its released code.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TYPE_CHECKING

import torch
from torch import Tensor

from training.e2e_mfd.extent import gaussian

if TYPE_CHECKING:
    from collections.abc import Callable

    from training.e2e_mfd.extent import Border, Extent

_SSIM_WINDOW = gaussian(11, 1.5)
_C1, _C2 = 0.01**2, 0.03**2
_DETAIL_SIDES = (3, 5, 7)
_DETAIL_SIGMA = 2.0
_DETAIL_WEIGHTS = {'l1': (10.0, 10.0, 1.0), 'squared': (1.0, 1.0, 1.0)}


class Moments(NamedTuple):
    """Local statistics of u (B, 1, H, W) and of sources (B, 2, H, W)."""

    mean_u: Tensor
    mean: Tensor
    variance_u: Tensor
    variance: Tensor
    covariance: Tensor


def moments(u: Tensor, sources: Tensor, blur: Callable[[Tensor], Tensor]) -> Moments:
    """Return means, variances and covariances under a window that sums to one."""
    products = (u, sources, u * u, sources * sources, u * sources)
    mean_u, mean, square_u, square, product = blur(torch.cat(products, 1)).split(
        (1, 2, 1, 2, 2), 1
    )
    return Moments(mean_u, mean, square_u - mean_u**2, square - mean**2, product - mean_u * mean)


def ssim_loss(u: Tensor, sources: Tensor, extent: Extent, border: Border = 'zero') -> Tensor:
    """Return (1 - SSIM(u, v)) / 2 + (1 - SSIM(u, y)) / 2, each SSIM a mean over pixels.

    Window of 11 pixels and deviation 1.5. Source: Wang et al., IEEE TIP 13(4), 2004.
    """
    m = moments(u, sources, lambda images: extent.blur(images, _SSIM_WINDOW, border))
    light = (2 * m.mean_u * m.mean + _C1) / (m.mean_u**2 + m.mean**2 + _C1)
    shape = (2 * m.covariance + _C2) / (m.variance_u + m.variance + _C2)
    return 1 - extent.mean(light * shape)


def pixel_loss(u: Tensor, target: Tensor, extent: Extent) -> Tensor:
    """Return the mean distance from a target (B, 1, H, W), of objects and background together."""
    return extent.mean((u - target).abs())


def gradient_loss(
    u: Tensor,
    sources: Tensor,
    extent: Extent,
    *,
    largest: Literal['signed', 'abs'] = 'signed',
    norm: Literal['l1', 'squared'] = 'l1',
    border: Border = 'zero',
) -> Tensor:
    """Return how far u's detail is from the larger one of its sources.

    Detail D_k is what a Gaussian of k x k pixels and deviation 2 takes away, for k = 3, 5 and 7.

    Args:
        u: fused brightness.
        sources: visible and thermal.
        extent: of the images.
        largest: whether details are compared as they are (`signed`, as released), so that dark
            detail loses to flat regions, or by magnitude (`abs`), keeping their sign.
        norm: `l1` is the released code: 10, 10 and 1 times the mean distance; `squared` is the
            paper: the sum of mean squares.
        border: what is beyond the images.
    """
    total = u.new_zeros(())
    for side, weight in zip(_DETAIL_SIDES, _DETAIL_WEIGHTS[norm]):
        images = torch.cat((u, sources), 1)
        detail = images - extent.blur(images, gaussian(side, _DETAIL_SIGMA), border)
        wanted = _larger(detail[:, 1:], largest)
        distance = (detail[:, :1] - wanted).abs()
        total = total + weight * extent.mean(distance if norm == 'l1' else distance**2)
    return total


def _larger(detail: Tensor, largest: Literal['signed', 'abs']) -> Tensor:
    """Return (B, 1, H, W), the larger detail of two images (B, 2, H, W)."""
    first, second = detail.split(1, 1)
    if largest == 'signed':
        return torch.maximum(first, second)
    return torch.where(first.abs() >= second.abs(), first, second)
