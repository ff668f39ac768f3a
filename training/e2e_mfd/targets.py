"""Which brightness the fused image should have: targets of the pixel loss.

v is the brightness of the visible image and y the thermal image, (B, 1, H, W) in 0..1. Targets
carry no gradient. Several are darker or brighter than both images; see `PixelTarget`.
"""

from __future__ import annotations

from typing import Literal, TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from training.e2e_mfd.extent import Extent

PixelTarget = Literal['max_mean', 'salient', 'paper', 'code_h', 'code_o']
"""What objects (o) and background (b) should look like.

max_mean: o max(v, y), b (v + y) / 2; written in the released code, but not used there.
salient: o max(v, y), b w1 v + w2 y with the weights of `saliency_weights`.
paper: o max(w1 v, w2 y), b (w1 v + w2 y) / 2; half as bright as the images.
code_h: o v + y, up to 2, b max(v, y); what the released code for M3FD trains with.
code_o: o max(v, y) + (v + y) / 2, up to 2, b y; that for DroneVehicle.
"""

_LEVELS = 256


@torch.no_grad()
def pixel_target(
    kind: PixelTarget, visible: Tensor, thermal: Tensor, objects: Tensor, extent: Extent
) -> Tensor:
    """Return the target (B, 1, H, W) for images (B, 1, H, W) and their objects, bool."""
    v, y = visible, thermal
    strongest, mean = torch.maximum(v, y), (v + y) / 2
    if kind == 'max_mean':
        return torch.where(objects, strongest, mean)
    if kind == 'code_h':
        return torch.where(objects, v + y, strongest)
    if kind == 'code_o':
        return torch.where(objects, strongest + mean, y)
    w1 = saliency_weights(v, y, extent)
    v_part, y_part = w1 * v, (1 - w1) * y
    if kind == 'salient':
        return torch.where(objects, strongest, v_part + y_part)
    return torch.where(objects, torch.maximum(v_part, y_part), (v_part + y_part) / 2)


def saliency_weights(visible: Tensor, thermal: Tensor, extent: Extent) -> Tensor:
    """Return w1 (B, 1, H, W) in 0..1 of the visible image; the thermal one has 1 - w1.

    w1 = S_v / (S_v + S_y), and one half where neither image is salient. The paper prints a minus
    sign, which has a pole where both are equally salient.
    """
    seen, felt = saliency(visible, extent), saliency(thermal, extent)
    total = seen + felt
    return torch.where(total > 0, seen / total.clamp(min=1e-12), 0.5)


def saliency(image: Tensor, extent: Extent) -> Tensor:
    """Return S (B, 1, H, W): how far a pixel's grey level, 0..255, is from all others' on average.

    Source: Zhai and Shah, Visual Attention Detection in Video Sequences Using Spatiotemporal
    Cues, ACM Multimedia 2006.
    """
    levels = (image * (_LEVELS - 1)).round().clamp(0, _LEVELS - 1).long()
    scale = torch.arange(_LEVELS, device=image.device)
    distance = (scale - scale[:, None]).abs().to(image.dtype)
    table = _histograms(levels, extent).to(image.dtype) @ distance  # [image, level]
    return table.gather(1, levels.flatten(1)).view_as(image)


def _histograms(levels: Tensor, extent: Extent) -> Tensor:
    """Return (B, 256) shares of the levels (B, 1, H, W) within images."""
    images = len(levels)
    own = levels + _LEVELS * torch.arange(images, device=levels.device).view(-1, 1, 1, 1)
    counted = own[extent.inside.expand_as(own)]
    counts = torch.bincount(counted, minlength=_LEVELS * images).view(images, _LEVELS)
    return counts / counts.sum(1, keepdim=True).clamp(min=1)
