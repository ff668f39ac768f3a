"""From backbone levels to one token map: C6, projections, alignment, fusion."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn, Tensor

from thermal_perception.models.fusion import (
    align,
    FusionOutput,
    resize_mask,
    ScaleProjection,
    SelectiveFusion,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from thermal_perception.models.config import FusionDetrConfig

STRIDES = (8, 16, 32, 64)


class TokenMapNeck(nn.Module):
    """Project C3..C6 to d channels, resize them to the grid and mix them."""

    def __init__(self, config: FusionDetrConfig, channels: Mapping[int, int]) -> None:
        """Create the projections for `channels` by stride 8, 16 and 32."""
        super().__init__()
        d = config.d_model
        self.config = config
        if config.num_scales == 1:
            self.projections = nn.ModuleDict(
                {'32': ScaleProjection(channels[32], d, norm=config.proj_norm)}
            )
            return
        self.c6, c6_channels = _make_c6(config, channels[32])
        widths = {8: channels[8], 16: channels[16], 32: channels[32], 64: c6_channels}
        self.projections = nn.ModuleDict(
            {
                str(s): ScaleProjection(c, d, norm=config.proj_norm)
                for s, c in widths.items()
                if not (s == 64 and config.c6_mode == 'cheap')
            }
        )
        self.fusion = SelectiveFusion(config)

    def forward(
        self, features: Mapping[int, Tensor], image_padding: Tensor | None
    ) -> tuple[Tensor, Tensor | None, FusionOutput | None]:
        """Return the (B, d, H, W) map, its (B, H, W) padding or None, and the fusion's record."""
        if self.config.num_scales == 1:
            x, padding = self._single(features, image_padding)
            return x, padding, None
        size = features[self.config.grid_stride].shape[-2:]
        padding = None if image_padding is None else resize_mask(image_padding, size)
        scales = [
            self._aligned(x, size, image_padding, padding)
            for x in self._projected(features, image_padding)
        ]
        fused = self.fusion(scales, padding)
        return fused.features, padding, fused

    def _single(
        self, features: Mapping[int, Tensor], image_padding: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        x = self.projections['32'](features[32], image_padding)
        up = self.config.fusion == 'c5_up'
        size = features[self.config.grid_stride].shape[-2:] if up else x.shape[-2:]
        padding = None if image_padding is None else resize_mask(image_padding, size)
        return self._aligned(x, size, image_padding, padding) if up else x, padding

    def _projected(
        self, features: Mapping[int, Tensor], padding: Tensor | None = None
    ) -> list[Tensor]:
        projected = [self.projections[str(s)](features[s], padding) for s in STRIDES[:3]]
        if self.config.c6_mode == 'cheap':
            return [*projected, self.c6(projected[2])]
        return [*projected, self.projections['64'](self.c6(features[32]), padding)]

    def _aligned(
        self,
        x: Tensor,
        size: torch.Size,
        image_padding: Tensor | None,
        padding: Tensor | None,
    ) -> Tensor:
        if image_padding is None or padding is None:
            return align(x, size)
        valid = (~resize_mask(image_padding, x.shape[-2:]))[:, None].to(x.dtype)
        y = align(x * valid, size)
        if self.config.mask_norm:
            y = y / align(valid, size).clamp(min=1e-6)
        return y.masked_fill(padding[:, None], 0.0)


def _make_c6(config: FusionDetrConfig, c5_channels: int) -> tuple[nn.Conv2d, int]:
    channels, out = {
        'proj': (c5_channels, config.d_model),
        'cheap': (config.d_model, config.d_model),
        'wide': (c5_channels, c5_channels),
    }[config.c6_mode]
    return nn.Conv2d(channels, out, 3, stride=2, padding=1), out
