"""ResNet-18, -34 and -50 with frozen batch norms.

Parameter names are torchvision's, so that its state dicts load by name, and those of DETR's
released checkpoints below `backbone.0.body`.

Source: He et al., arXiv 1512.03385; the stride of a bottleneck sits in its 3x3 convolution.
"""

from __future__ import annotations

from typing import NamedTuple, TYPE_CHECKING

import torch
from torch import nn, Tensor
import torch.nn.functional as F

from thermal_perception.models.backbones.base import Backbone, fold_into_norm, he_init, STRIDES
from thermal_perception.models.layers import conv_bn, FoldingConv2d, FrozenBatchNorm2d

if TYPE_CHECKING:
    from collections.abc import Mapping


def _conv(
    channels: int, out: int, kernel: int, stride: int = 1, dilation: int = 1
) -> FoldingConv2d:
    padding = dilation * (kernel // 2)
    return FoldingConv2d(
        channels, out, kernel, stride, padding=padding, dilation=dilation, bias=False
    )


class _Block(nn.Module):
    """A residual block: `downsample` is the shortcut where the shape changes."""

    expansion = 1

    def __init__(self, channels: int, width: int, *, stride: int, affine: bool) -> None:
        super().__init__()
        out = width * self.expansion
        self.downsample: nn.Sequential | None = None
        if stride != 1 or channels != out:
            self.downsample = nn.Sequential(
                _conv(channels, out, 1, stride), FrozenBatchNorm2d(out, affine=affine)
            )

    def shortcut(self, x: Tensor) -> Tensor:
        if self.downsample is None:
            return x
        conv, norm = self.downsample
        assert isinstance(conv, FoldingConv2d) and isinstance(norm, FrozenBatchNorm2d)
        return conv_bn(conv, norm, x)


class BasicBlock(_Block):
    """Two 3x3 convolutions and a shortcut."""

    def __init__(
        self, channels: int, width: int, *, stride: int, dilations: tuple[int, int], affine: bool
    ) -> None:
        """Create the block; `stride` acts in the first convolution."""
        super().__init__(channels, width, stride=stride, affine=affine)
        self.conv1 = _conv(channels, width, 3, stride, dilations[0])
        self.bn1 = FrozenBatchNorm2d(width, affine=affine)
        self.conv2 = _conv(width, width, 3, 1, dilations[1])
        self.bn2 = FrozenBatchNorm2d(width, affine=affine)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, width, H/stride, W/stride)."""
        y = F.relu(conv_bn(self.conv1, self.bn1, x), inplace=True)
        y = conv_bn(self.conv2, self.bn2, y)
        return F.relu(y + self.shortcut(x), inplace=True)


class Bottleneck(_Block):
    """1x1, 3x3, 1x1 and a shortcut; four times the width comes out."""

    expansion = 4

    def __init__(
        self, channels: int, width: int, *, stride: int, dilations: tuple[int, int], affine: bool
    ) -> None:
        """Create the block; stride and the first dilation act in the 3x3 convolution."""
        super().__init__(channels, width, stride=stride, affine=affine)
        self.conv1 = _conv(channels, width, 1)
        self.bn1 = FrozenBatchNorm2d(width, affine=affine)
        self.conv2 = _conv(width, width, 3, stride, dilations[0])
        self.bn2 = FrozenBatchNorm2d(width, affine=affine)
        self.conv3 = _conv(width, 4 * width, 1)
        self.bn3 = FrozenBatchNorm2d(4 * width, affine=affine)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, 4 * width, H/stride, W/stride)."""
        y = F.relu(conv_bn(self.conv1, self.bn1, x), inplace=True)
        y = F.relu(conv_bn(self.conv2, self.bn2, y), inplace=True)
        y = conv_bn(self.conv3, self.bn3, y)
        return F.relu(y + self.shortcut(x), inplace=True)


class _Shape(NamedTuple):
    block: type[BasicBlock | Bottleneck]
    depths: tuple[int, int, int, int]


_SHAPES = {
    'resnet18': _Shape(BasicBlock, (2, 2, 2, 2)),
    'resnet34': _Shape(BasicBlock, (3, 4, 6, 3)),
    'resnet50': _Shape(Bottleneck, (3, 4, 6, 3)),
}


class ResNet(Backbone):
    """ResNet without its classifier."""

    def __init__(
        self,
        name: str,
        *,
        affine: bool = False,
        dilate: bool = False,
        in_channels: int = 3,
        strides: tuple[int, ...] = STRIDES,
    ) -> None:
        """Create the network with random weights; see `make_backbone`."""
        super().__init__(in_channels=in_channels)
        block, depths = _SHAPES[name]
        self.affine, self.block = affine, block
        self.channels = {stride: 16 * stride * block.expansion for stride in strides}
        self.conv1 = _conv(in_channels, 64, 7, 2)
        self.bn1 = FrozenBatchNorm2d(64, affine=affine)
        self.layer1 = self._layer(64, 64, depths[0], stride=1)
        self.layer2 = self._layer(64 * block.expansion, 128, depths[1], stride=2)
        self.layer3 = self._layer(128 * block.expansion, 256, depths[2], stride=2)
        self.layer4 = self._layer(
            256 * block.expansion, 512, depths[3], stride=1 if dilate else 2, dilate=dilate
        )
        he_init(self)
        self._quieten_branches()

    def forward(self, x: Tensor) -> dict[int, Tensor]:
        """Return the maps asked for by stride; see `Backbone`."""
        kernel = self.stem_kernel(self.conv1.weight, x)
        x = F.relu(conv_bn(self.conv1, self.bn1, x, kernel), inplace=True)
        x = F.max_pool2d(x, 3, stride=2, padding=1)
        features = {}
        for index, stage in enumerate((self.layer1, self.layer2, self.layer3, self.layer4)):
            x = stage(x)
            if 4 << index in self.channels:
                features[4 << index] = x
        return features

    def freeze_early(self) -> None:
        """Keep the stem and the first stage as they are, as DETR does."""
        for module in (self.conv1, self.bn1, self.layer1):
            module.requires_grad_(False)

    def adapt_state_dict(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Drop the classifier of a torchvision state dict; fold its stem for one channel."""
        adapted = {k: v for k, v in state.items() if not k.startswith('fc.')}
        if self.in_channels == 1:
            fold_into_norm(adapted, 'conv1', 'bn1', self)
        return adapted

    def _layer(
        self, channels: int, width: int, depth: int, *, stride: int, dilate: bool = False
    ) -> nn.Sequential:
        # Dilation stands for the stride that was taken away, so it begins behind that place.
        late = 2 if dilate else 1
        layer = nn.Sequential()
        for index in range(depth):
            early = late if index else 1
            layer.append(
                self.block(
                    channels,
                    width,
                    stride=1 if index else stride,
                    dilations=(early, late),
                    affine=self.affine,
                )
            )
            channels = width * self.block.expansion
        return layer

    @torch.no_grad()
    def _quieten_branches(self) -> None:
        """Weaken random branches: without batch statistics their sums would grow with depth."""
        for block in self.modules():
            if isinstance(block, _Block):
                last = block.conv3 if isinstance(block, Bottleneck) else block.conv2
                last.weight.mul_(0.5)  # type: ignore[union-attr, operator]
