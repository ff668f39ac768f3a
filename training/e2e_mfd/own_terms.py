"""Terms of our own for the fused image; the published loss has none of them.

The published loss pulls towards the average: on RoadScene pairs, images optimised under it keep
less of what their sources show (VIF) than their mean does. These terms ask for what a fused image
is for: that the information, the edges and the differences of both images are in it.

u is the fused brightness (B, 1, H, W), and sources are the brightness of the visible image and the
thermal image, (B, 2, H, W), in 0..1 and without gradient. Padded pixels are zero in all of them.
"""

from __future__ import annotations

from typing import NamedTuple, TYPE_CHECKING

import torch
from torch import Tensor
import torch.nn.functional as F

from training.e2e_mfd.extent import blur_inside, gaussian
from training.e2e_mfd.published_terms import moments

if TYPE_CHECKING:
    from collections.abc import Callable

    from training.e2e_mfd.extent import Extent

_VIF_SIDES = (17, 9, 5, 3)
_VIF_NOISE = 2.0  # variance of the observer's noise, squared grey levels
_NOTHING = 1e-6  # information, below which an image has none
_LEAST_KEPT = 1e-3  # share of information below which the loss does not grow any more
_FLAT = 1e-2  # variance that holds no information, squared grey levels; above rounding


def fidelity_loss(u: Tensor, sources: Tensor, extent: Extent) -> Tensor:
    """Return -log VIF(source, u), mean over images; each source counts by what it has to tell.

    The visual information fidelity is that of `thermal_perception.evaluation.image_fusion`, with
    slopes everywhere: the share of a source's information that u still tells. A copy of one source
    has a larger sum of both than most fusions, so the sum must not be what is asked for; the
    logarithm makes losing all of one source dear. Scales whose window an image does not hold are
    left out, and so are sources without information, as a lens cap gives.

    Source: Sheikh and Bovik, Image Information and Visual Quality, IEEE TIP 15(2), 2006.
    """
    a, b = (255 * _centred(image, extent) for image in (sources, u))
    kept = whole = sources.new_zeros(sources.shape[:2])
    for scale, side in enumerate(_VIF_SIDES):
        if min(extent.shape) < (3 * side - 2 if scale else side):
            break
        window = gaussian(side, side / 5)
        if scale:
            a, b = (blur_inside(image, window)[..., ::2, ::2] for image in (a, b))
            extent = extent.shrunk(side - 1).every_other()
        known, still_known = _information(a, b, window)
        valid = extent.shrunk(side - 1)
        whole, kept = whole + valid.sums(known), kept + valid.sums(still_known)
    share = whole / whole.sum(1, keepdim=True).clamp(min=_NOTHING)
    lost = -torch.log(kept / whole.clamp(min=_NOTHING) + _LEAST_KEPT)
    return (share * lost).sum(1).mean()


def _information(a: Tensor, b: Tensor, window: list[float]) -> tuple[Tensor, Tensor]:
    """Return what sources a (B, 2, H, W) tell at each place, and what of it b still tells."""
    m = moments(b, a, lambda images: blur_inside(images, window))
    variance, covariance = m.variance.clamp(min=0), m.covariance.clamp(min=0)
    gain = covariance / (variance + _FLAT)
    rest = (m.variance_u - gain * covariance).clamp(min=_FLAT)
    told = gain**2 * variance / (rest + _VIF_NOISE)
    return torch.log10(1 + variance / _VIF_NOISE), torch.log10(1 + told)


def edge_loss(
    u: Tensor, sources: Tensor, extent: Extent, scales: int = 1, falloff: float = 0.5
) -> Tensor:
    """Return how far the slopes of u are from those of the source with the stronger edge.

    Slopes are vectors, by Sobel's filter in units of brightness per pixel, so that direction and
    sign are kept too (what Qabf measures). Each further scale looks at images of half the size,
    where an edge that no source has is seen however soft it is: it is what keeps borders of
    regions taken from one source and the other from showing. Scale k counts by half of
    `falloff` ** k; with 0.5, a soft border counts the same at every scale that resolves it.
    """

    def distance(slopes: _Slopes) -> Tensor:
        wanted = _stronger(slopes.x[:, 1:], slopes.y[:, 1:])
        return (slopes.x[:, :1] - wanted.x).abs() + (slopes.y[:, :1] - wanted.y).abs()

    return _over_scales(distance, u, sources, extent, scales=scales, falloff=falloff)


def halo_loss(
    u: Tensor, sources: Tensor, extent: Extent, scales: int = 1, falloff: float = 0.5
) -> Tensor:
    """Return how much steeper than both sources u is, or how steep against them.

    Along each axis a slope of u may lie between nothing and either source's; what is beyond
    counts. To `edge_loss` a halo is as good as none: beside a lamp on a warm wall u may fall as
    far as the lamp does, and climb back at leisure, for the price of not falling that far.

    Scales and units are those of `edge_loss`.
    """

    def beyond(slopes: _Slopes) -> Tensor:
        return _outside(slopes.x) + _outside(slopes.y)

    return _over_scales(beyond, u, sources, extent, scales=scales, falloff=falloff)


def _outside(slopes: Tensor) -> Tensor:
    """Return how far the first of slopes (B, 3, H, W) is from the span of 0 and the others."""
    mine, others = slopes[:, :1], slopes[:, 1:]
    low = others.amin(1, keepdim=True).clamp(max=0)
    high = others.amax(1, keepdim=True).clamp(min=0)
    return (mine - high).clamp(min=0) + (low - mine).clamp(min=0)


class _Slopes(NamedTuple):
    x: Tensor
    y: Tensor


def _over_scales(
    measure: Callable[[_Slopes], Tensor],
    u: Tensor,
    sources: Tensor,
    extent: Extent,
    *,
    scales: int,
    falloff: float,
) -> Tensor:
    """Add up what `measure` makes of the slopes of u and the sources at each scale."""
    images = torch.cat((u, sources), 1)
    total = u.new_zeros(())
    for scale in range(scales):
        if scale:
            images, extent = F.avg_pool2d(images, 2), extent.halved()
        if min(extent.shape) < 3:
            break
        total = total + extent.shrunk(2).mean(measure(_slopes(images))) * falloff**scale / 2
    return total


def _slopes(images: Tensor) -> _Slopes:
    """Return (B, C, H - 2, W - 2) slopes per pixel where Sobel's 3 x 3 filter fits."""
    across = (images[..., 2:] - images[..., :-2]) / 8
    down = (images[..., 2:, :] - images[..., :-2, :]) / 8
    return _Slopes(
        across[..., :-2, :] + 2 * across[..., 1:-1, :] + across[..., 2:, :],
        down[..., :-2] + 2 * down[..., 1:-1] + down[..., 2:],
    )


def _stronger(x: Tensor, y: Tensor) -> _Slopes:
    """Return the steeper (B, 1, H, W) of slopes (B, 2, H, W)."""
    first, second = (x**2 + y**2).split(1, 1)
    ahead = first >= second
    return _Slopes(torch.where(ahead, x[:, :1], x[:, 1:]), torch.where(ahead, y[:, :1], y[:, 1:]))


def difference_loss(u: Tensor, sources: Tensor, extent: Extent) -> Tensor:
    """Return 2 - SCD, mean over images: what u has beyond one source should be the other one.

    SCD is the sum of the correlations of u - v with y and of u - y with v.

    Source: Aslantas and Bendes, A New Image Quality Metric for Image Fusion, AEU 69(12), 2015.
    """
    beyond = _centred(u - sources, extent)
    other = _centred(sources.flip(1), extent)
    covariance = extent.means(beyond * other)
    scale = (extent.means(beyond**2) * extent.means(other**2) + 1e-12).sqrt()
    return 2 - (covariance / scale).sum(1).mean()


def range_loss(u: Tensor, extent: Extent) -> Tensor:
    """Return by how much u is outside of 0..1, where it will be cut, mean over pixels."""
    return extent.mean((u - u.clamp(0, 1)).abs())


def _centred(image: Tensor, extent: Extent) -> Tensor:
    """Subtract each image's mean; single precision then holds small variances too."""
    return extent.clean(image - extent.means(image)[..., None, None])
