"""The loss of the fused image, published and ours."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

import torch
from torch import Tensor

from thermal_perception.errors import ConfigError
from training.e2e_mfd.extent import Border, Extent
from training.e2e_mfd.own_terms import (
    difference_loss,
    edge_loss,
    fidelity_loss,
    halo_loss,
    range_loss,
)
from training.e2e_mfd.published_terms import gradient_loss, pixel_loss, ssim_loss
from training.e2e_mfd.targets import pixel_target, PixelTarget


@dataclass(frozen=True)
class FusionLossConfig:
    """Weights of the terms and how they are made; the defaults are the published loss.

    Attributes:
        ssim_weight: of structural similarity to both images.
        pixel_weight: of the distance from a target brightness.
        gradient_weight: of the distance from the larger detail.
        pixel_target: target brightness, see `targets.PixelTarget`.
        gradient_max: whether details are compared `signed`, as in the released code, or by
            magnitude (`abs`), so that dark detail is kept too.
        gradient_norm: `l1` as in the released code, `squared` as in the paper.
        border: what filters of the published terms see beyond the image: `zero`, as released, or
            its outermost pixels (`replicate`).
        fidelity_weight: ours: of information that is lost, of either image (VIF).
        edge_weight: ours: of the distance from the slopes of the stronger edge (Qabf).
        halo_weight: ours: of slopes that neither image has.
        edge_scales: sizes at which slopes are compared, each half of the one before.
        edge_falloff: how much a size counts, by the one before.
        difference_weight: ours: of what u has beyond one image and is not the other one (SCD).
        range_weight: ours: of brightness outside of 0..1, which weights that do not sum to one
            can give.
    """

    ssim_weight: float = 10.0
    pixel_weight: float = 10.0
    gradient_weight: float = 10.0
    pixel_target: PixelTarget = 'max_mean'
    gradient_max: Literal['signed', 'abs'] = 'signed'
    gradient_norm: Literal['l1', 'squared'] = 'l1'
    border: Border = 'zero'
    fidelity_weight: float = 0.0
    edge_weight: float = 0.0
    halo_weight: float = 0.0
    edge_scales: int = 1
    edge_falloff: float = 0.5
    difference_weight: float = 0.0
    range_weight: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        for name in (f.name for f in fields(self) if f.name.endswith('_weight')):
            if getattr(self, name) < 0:
                raise ConfigError(f'{name}: found {getattr(self, name)}, expected at least 0')
        if self.edge_scales < 1:
            raise ConfigError(f'edge_scales: found {self.edge_scales}, expected at least 1')
        if not 0 < self.edge_falloff <= 1:
            raise ConfigError(
                f'edge_falloff: found {self.edge_falloff}, expected above 0, at most 1'
            )


class FusionCriterion:
    """Compares the fused image with the two it is made of."""

    def __init__(self, config: FusionLossConfig) -> None:
        """Keep the weights."""
        self.config = config

    def __call__(
        self,
        fused: Tensor,
        *,
        visible: Tensor,
        thermal: Tensor,
        objects: Tensor,
        padding: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Return the weighted terms by name, those without weight left out; their sum is the loss.

        Args:
            fused: (B, 1, H, W) u, brightness in 0..2.
            visible: (B, 1, H, W) v, brightness of the visible image in 0..1.
            thermal: (B, 1, H, W) y in 0..1.
            objects: (B, 1, H, W) bool, True where an object is; see `masks.object_mask`.
            padding: (B, H, W) bool, True where padded, or None. Padded pixels change nothing.
        """
        extent = Extent.of(fused, padding)
        sources = torch.cat((visible, thermal), 1).float().detach()
        u, sources = extent.clean(fused.float()), extent.clean(sources)
        return self._terms(u, sources, objects, extent)

    def _terms(
        self, u: Tensor, sources: Tensor, objects: Tensor, extent: Extent
    ) -> dict[str, Tensor]:
        c = self.config
        makers = {
            'ssim': (c.ssim_weight, lambda: ssim_loss(u, sources, extent, c.border)),
            'pixel': (c.pixel_weight, lambda: self._pixel(u, sources, objects, extent)),
            'gradient': (c.gradient_weight, lambda: self._gradient(u, sources, extent)),
            'fidelity': (c.fidelity_weight, lambda: fidelity_loss(u, sources, extent)),
            'edges': (
                c.edge_weight,
                lambda: edge_loss(u, sources, extent, c.edge_scales, c.edge_falloff),
            ),
            'halos': (
                c.halo_weight,
                lambda: halo_loss(u, sources, extent, c.edge_scales, c.edge_falloff),
            ),
            'difference': (c.difference_weight, lambda: difference_loss(u, sources, extent)),
            'range': (c.range_weight, lambda: range_loss(u, extent)),
        }
        return {name: weight * make() for name, (weight, make) in makers.items() if weight}

    def _pixel(self, u: Tensor, sources: Tensor, objects: Tensor, extent: Extent) -> Tensor:
        visible, thermal = sources.split(1, 1)
        target = pixel_target(self.config.pixel_target, visible, thermal, objects, extent)
        return pixel_loss(u, target, extent)

    def _gradient(self, u: Tensor, sources: Tensor, extent: Extent) -> Tensor:
        c = self.config
        return gradient_loss(
            u, sources, extent, largest=c.gradient_max, norm=c.gradient_norm, border=c.border
        )
