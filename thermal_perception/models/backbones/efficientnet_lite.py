"""EfficientNet-Lite0: a small mobile backbone without squeeze-excitation or swish.

Parameter names follow the published PyTorch conversion (`_conv_stem`, `_blocks.N._expand_conv`,
...), so that its ImageNet state dict loads by name.

Source: Tan and Le, EfficientNet, arXiv 1905.11946; the Lite variants of the TensorFlow TPU models.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple, TYPE_CHECKING

from torch import nn, Tensor
import torch.nn.functional as F

from thermal_perception.models.backbones.base import Backbone, fold_into_norm, STRIDES
from thermal_perception.models.layers import conv_bn, depthwise_conv2d, FrozenBatchNorm2d

if TYPE_CHECKING:
    from collections.abc import Mapping

BN_EPS = 1e-3


class _Stage(NamedTuple):
    repeats: int
    kernel: int
    stride: int
    expand: int
    out: int


_STAGES = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)


# In place, also below: a third of the time on a CPU goes into maps that leave its caches.
_relu6 = partial(F.relu6, inplace=True)


class SamePadConv2d(nn.Conv2d):
    """Convolution with TensorFlow's SAME padding, which is uneven for stride 2 on even sizes.

    Its groups are one, or as many as it has channels.
    """

    def forward(
        self, x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None
    ) -> Tensor:
        """Convolve (B, C, H, W), optionally with replaced weight and bias (folded norm)."""
        weight = self.weight if weight is None else weight
        convolve = F.conv2d if self.groups == 1 else depthwise_conv2d
        k, s = self.kernel_size[0], self.stride[0]
        if s == 1:
            d = self.dilation[0]
            return convolve(x, weight, bias, padding=d * (k // 2), dilation=d)
        if s == 2 and not any(n % 2 for n in x.shape[-2:]):
            # One more row and column of zeros in the kernel instead of around the whole map.
            weight = F.pad(weight, (1, 0, 1, 0))
            return convolve(x, weight, bias, stride=2, padding=k // 2)
        pad_h, pad_w = (max((-(-n // s) - 1) * s + k - n, 0) for n in x.shape[-2:])
        x = F.pad(x, (pad_w // 2, pad_w - pad_w // 2, pad_h // 2, pad_h - pad_h // 2))
        return convolve(x, weight, bias, stride=s)


class InvertedResidual(nn.Module):
    """Expand 1x1, depthwise kxk, project 1x1; residual when the shape is kept."""

    def __init__(
        self,
        channels: int,
        out: int,
        *,
        kernel: int,
        stride: int,
        expand: int,
        dilation: int = 1,
        affine: bool = True,
    ) -> None:
        """Create the block; `expand` 1 leaves the first convolution out."""
        super().__init__()
        hidden = channels * expand
        self.expand = expand != 1
        self.residual = stride == 1 and channels == out
        if self.expand:
            self._expand_conv = SamePadConv2d(channels, hidden, 1, bias=False)
            self._bn0 = FrozenBatchNorm2d(hidden, eps=BN_EPS, affine=affine)
        self._depthwise_conv = SamePadConv2d(
            hidden,
            hidden,
            kernel,
            stride=stride,
            dilation=dilation,
            groups=hidden,
            bias=False,
        )
        self._bn1 = FrozenBatchNorm2d(hidden, eps=BN_EPS, affine=affine)
        self._project_conv = SamePadConv2d(hidden, out, 1, bias=False)
        self._bn2 = FrozenBatchNorm2d(out, eps=BN_EPS, affine=affine)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, out, H/stride, W/stride)."""
        y = x
        if self.expand:
            y = _relu6(conv_bn(self._expand_conv, self._bn0, y))
        y = _relu6(conv_bn(self._depthwise_conv, self._bn1, y))
        y = conv_bn(self._project_conv, self._bn2, y)
        return y.add_(x) if self.residual else y


class EfficientNetLite0(Backbone):
    """EfficientNet-Lite0 without its classifier.

    Its ImageNet weights expect (x - 127) / 128 of 8-bit values.
    """

    rgb_mean = (127 / 255,) * 3
    rgb_std = (128 / 255,) * 3

    def __init__(
        self,
        *,
        affine: bool = True,
        dilate: bool = False,
        in_channels: int = 3,
        strides: tuple[int, ...] = STRIDES,
    ) -> None:
        """Create the network with random weights; see `make_backbone`."""
        super().__init__(in_channels=in_channels)
        taps = _taps()
        self.channels = {stride: taps[stride].channels for stride in strides}
        self._strides = {taps[stride].block: stride for stride in strides}
        self._early = taps[4].block
        self._conv_stem = SamePadConv2d(in_channels, 32, 3, stride=2, bias=False)
        self._bn0 = FrozenBatchNorm2d(32, eps=BN_EPS, affine=affine)
        self._blocks = nn.ModuleList(_blocks(affine=affine, dilate=dilate))

    def forward(self, x: Tensor) -> dict[int, Tensor]:
        """Return the maps asked for by stride; see `Backbone`."""
        kernel = self.stem_kernel(self._conv_stem.weight, x)
        x = _relu6(conv_bn(self._conv_stem, self._bn0, x, kernel))
        features = {}
        for index, block in enumerate(self._blocks):
            x = block(x)
            if index in self._strides:
                features[self._strides[index]] = x
        return features

    def freeze_early(self) -> None:
        """Keep everything up to stride 4 as it is: edges and blobs look alike in any image.

        These layers have the largest maps, so that training without them takes 40% less time.
        """
        for module in (self._conv_stem, self._bn0, *self._blocks[: self._early + 1]):
            module.requires_grad_(False)

    def adapt_state_dict(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Drop the classifier of a published state dict; fold its stem for one channel."""
        dropped = ('_conv_head', '_bn1.', '_fc')
        adapted = {k: v for k, v in state.items() if not k.startswith(dropped)}
        if self.in_channels == 1:
            fold_into_norm(adapted, '_conv_stem', '_bn0', self)
        return adapted


class _Tap(NamedTuple):
    block: int
    channels: int


def _taps() -> dict[int, _Tap]:
    """Return the last block of every stride, and how wide it is."""
    taps: dict[int, _Tap] = {}
    block, stride = -1, 2
    for stage in _STAGES:
        block, stride = block + stage.repeats, stride * stage.stride
        taps[stride] = _Tap(block, stage.out)
    return taps


def _blocks(*, affine: bool, dilate: bool) -> list[InvertedResidual]:
    blocks: list[InvertedResidual] = []
    channels, dilation, strides = 32, 1, 2
    for stage in _STAGES:
        for i in range(stage.repeats):
            stride = stage.stride if i == 0 else 1
            dilated = dilate and strides * stride > 16
            blocks.append(
                InvertedResidual(
                    channels,
                    stage.out,
                    kernel=stage.kernel,
                    stride=1 if dilated else stride,
                    expand=stage.expand,
                    dilation=dilation,
                    affine=affine,
                )
            )
            channels, strides = stage.out, strides if dilated else strides * stride
            dilation = 2 if dilated else dilation  # the block that loses its stride keeps its taps
    return blocks
