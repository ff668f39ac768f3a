"""ConvNeXt V2, atto to base, with a layer norm per tap.

Parameter names are timm's (`stem.0`, `stages.N.downsample.1`, `stages.N.blocks.M.mlp.grn`, ...),
so that its state dicts load by name; `tap_norms` are our own.

Source: Woo et al., arXiv 2301.00808.
"""

from __future__ import annotations

from typing import NamedTuple, TYPE_CHECKING

import torch
from torch import nn, Tensor
import torch.nn.functional as F

from thermal_perception.models.backbones.base import Backbone, STRIDES
from thermal_perception.models.layers import depthwise_conv2d

if TYPE_CHECKING:
    from collections.abc import Mapping

EPS = 1e-6
_TINY = 1e-24  # gives a map of zeros a gradient of zero


class _Shape(NamedTuple):
    depths: tuple[int, int, int, int]
    width: int  # of the first stage; doubles with every stage


_SHAPES = {
    'convnextv2_atto': _Shape((2, 2, 6, 2), 40),
    'convnextv2_femto': _Shape((2, 2, 6, 2), 48),
    'convnextv2_nano': _Shape((2, 2, 8, 2), 80),
    'convnextv2_tiny': _Shape((3, 3, 9, 3), 96),
    'convnextv2_base': _Shape((3, 3, 27, 3), 128),
}


class LayerNorm2d(nn.LayerNorm):
    """Layer norm over the channels of (B, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise every cell."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class GlobalResponseNorm(nn.Module):
    """Let channels compete by their energy over the whole map."""

    def __init__(self, channels: int) -> None:
        """Start as the identity."""
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, C) to the same shape."""
        squares = x.float().square().sum((1, 2), keepdim=True)  # [batch, 1, 1, channels]
        energy = (squares + _TINY).sqrt()  # twice as fast as the norm of torch
        relative = energy / (energy.mean(-1, keepdim=True) + EPS)
        return torch.addcmul(self.bias, x, 1 + self.weight * relative)


class GrnMlp(nn.Module):
    """Widen four times, let channels compete, narrow again; on (B, H, W, C)."""

    def __init__(self, channels: int) -> None:
        """Create the two linear layers and the norm between them."""
        super().__init__()
        self.fc1 = nn.Linear(channels, 4 * channels)
        self.grn = GlobalResponseNorm(4 * channels)
        self.fc2 = nn.Linear(4 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, C) to the same shape."""
        return self.fc2(self.grn(F.gelu(self.fc1(x))))


class Block(nn.Module):
    """Depthwise 7x7, layer norm, MLP, around a shortcut."""

    def __init__(self, channels: int, *, dilation: int) -> None:
        """Create the block."""
        super().__init__()
        self.conv_dw = nn.Conv2d(
            channels, channels, 7, padding=3 * dilation, dilation=dilation, groups=channels
        )
        self.norm = nn.LayerNorm(channels, eps=EPS)
        self.mlp = GrnMlp(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        conv, dilation = self.conv_dw, self.conv_dw.dilation[0]
        y = depthwise_conv2d(
            x, conv.weight, conv.bias, padding=3 * dilation, dilation=dilation
        ).permute(0, 2, 3, 1)  # [batch, height, width, channels]
        return x + self.mlp(self.norm(y)).permute(0, 3, 1, 2)


class Downsample(nn.Sequential):
    """Layer norm, then a 2x2 convolution of stride 2, or of stride 1 on a map kept in size."""

    def __init__(self, channels: int, out: int, *, stride: int) -> None:
        """Create norm `0` and convolution `1`."""
        super().__init__(
            LayerNorm2d(channels, eps=EPS), nn.Conv2d(channels, out, 2, stride=stride)
        )
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, out, H/stride, W/stride)."""
        norm, conv = self
        x = norm(x)
        return conv(x if self.stride == 2 else F.pad(x, (0, 1, 0, 1)))


class Stage(nn.Module):
    """Downsample, except at the start, then some blocks."""

    def __init__(
        self, channels: int, out: int, depth: int, *, stride: int, dilation: int = 1
    ) -> None:
        """Create the stage; equal widths mean that it keeps the size."""
        super().__init__()
        self.downsample = (
            nn.Identity() if channels == out else Downsample(channels, out, stride=stride)
        )
        self.blocks = nn.Sequential(*(Block(out, dilation=dilation) for _ in range(depth)))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, channels, H, W) to (B, out, H/stride, W/stride)."""
        return self.blocks(self.downsample(x))


class ConvNeXtV2(Backbone):
    """ConvNeXt V2 without its classifier."""

    def __init__(
        self,
        name: str,
        *,
        dilate: bool = False,
        in_channels: int = 3,
        strides: tuple[int, ...] = STRIDES,
    ) -> None:
        """Create the network with random weights; see `make_backbone`."""
        super().__init__(in_channels=in_channels)
        depths, width = _SHAPES[name]
        self.channels = {stride: width * stride // 4 for stride in strides}
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, width, 4, stride=4), LayerNorm2d(width, eps=EPS)
        )
        self.stages = nn.Sequential(
            Stage(width, width, depths[0], stride=1),
            Stage(width, 2 * width, depths[1], stride=2),
            Stage(2 * width, 4 * width, depths[2], stride=2),
            Stage(
                4 * width,
                8 * width,
                depths[3],
                stride=1 if dilate else 2,
                dilation=2 if dilate else 1,
            ),
        )
        # The residual stream is not normalised where it is tapped.
        self.tap_norms = nn.ModuleDict(
            {str(s): LayerNorm2d(c, eps=EPS) for s, c in self.channels.items()}
        )
        self._start()

    def forward(self, x: Tensor) -> dict[int, Tensor]:
        """Return the maps asked for by stride; see `Backbone`."""
        conv, norm = self.stem
        assert isinstance(conv, nn.Conv2d)
        kernel = self.stem_kernel(conv.weight, x)
        x = norm(F.conv2d(x, kernel, conv.bias, stride=4))
        features = {}
        for index, stage in enumerate(self.stages):
            x = stage(x)
            if 4 << index in self.channels:
                features[4 << index] = self.tap_norms[str(4 << index)](x)
        return features

    def freeze_early(self) -> None:
        """Keep the stem and the first stage as they are."""
        for module in (self.stem, self.stages[0]):
            module.requires_grad_(False)

    def adapt_state_dict(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Drop the classifier of a timm state dict; keep the norms of the taps as they are.

        The small variants of timm write the MLP as 1x1 convolutions, the same numbers.
        """
        adapted = {k: v for k, v in state.items() if not k.startswith(('head.', 'norm_pre.'))}
        for name, value in adapted.items():
            if '.mlp.fc' in name and value.dim() == 4:
                adapted[name] = value.flatten(1)
        stem = adapted['stem.0.weight']
        if self.in_channels == 1 and stem.shape[1] == 3:
            adapted['stem.0.weight'], offset = self.fold_stem(stem)
            adapted['stem.0.bias'] = adapted['stem.0.bias'] + offset
        own = {f'tap_norms.{k}': v for k, v in self.tap_norms.state_dict().items()}
        return {**own, **adapted}

    def _start(self) -> None:
        for layer in self.modules():
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                nn.init.trunc_normal_(layer.weight, std=0.02)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
