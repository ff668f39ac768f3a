"""What every backbone offers, and how its stem sees one channel instead of three."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple, TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
STRIDES = (8, 16, 32)


class FoldedStem(NamedTuple):
    """A stem for one channel: (out, 1, k, k) weight and the (out,) offset of its response."""

    weight: Tensor
    offset: Tensor


class Backbone(nn.Module, ABC):
    """An image encoder.

    Attributes:
        channels: of the returned maps by stride.
        mean: of the input in [0, 1], per channel, as the published weights expect it.
        std: matching standard deviation.
        in_channels: 3, or 1 for a stem that sees the grey channel once.
    """

    channels: Mapping[int, int]
    rgb_mean: tuple[float, ...] = IMAGENET_MEAN
    rgb_std: tuple[float, ...] = IMAGENET_STD

    def __init__(self, *, in_channels: int) -> None:
        """Choose the normalisation for one or three channels."""
        super().__init__()
        self.in_channels = in_channels
        alone = in_channels == 1
        self.mean = (sum(self.rgb_mean) / 3,) if alone else self.rgb_mean
        self.std = (sum(self.rgb_std) / 3,) if alone else self.rgb_std

    @abstractmethod
    def forward(self, x: Tensor) -> dict[int, Tensor]:
        """Map normalised (B, in_channels, H, W) to the maps asked for, by stride.

        With `dilate`, the map under 32 has stride 16.
        """

    @abstractmethod
    def freeze_early(self) -> None:
        """Keep everything up to stride 4 as it is: edges and blobs look alike in any image."""

    @abstractmethod
    def adapt_state_dict(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Turn a published state dict into one of this module; without the classifier."""

    def fold_stem(self, weight: Tensor) -> FoldedStem:
        """Sum a published (out, 3, k, k) stem over R, G, B for equal channels.

        With u = (x - mean) / std of the one channel, sum_c w_c (x - mean_c) / std_c is
        u * sum_c w_c std / std_c plus a constant. Exact inside the image; where the stem reaches
        over the border, zero padding stands for slightly different grey levels, unless all
        channels share mean and std.
        """
        mean, std = weight.new_tensor(self.rgb_mean), weight.new_tensor(self.rgb_std)
        gain = (self.std[0] / std)[:, None, None]
        shift = ((self.mean[0] - mean) / std)[:, None, None]
        folded = (weight * gain).sum(1, keepdim=True)
        return FoldedStem(folded, (weight * shift).sum((1, 2, 3)))


def he_init(module: nn.Module) -> None:
    """Start convolutions so that ReLU networks with identity norms keep their variance."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode='fan_out', nonlinearity='relu')


def fold_into_norm(state: dict[str, Tensor], conv: str, norm: str, backbone: Backbone) -> None:
    """Make a published stem see one channel; the batch norm behind it carries the offset."""
    weight = state[f'{conv}.weight']
    if weight.shape[1] == 1:
        return
    stem = backbone.fold_stem(weight)
    state[f'{conv}.weight'] = stem.weight
    state[f'{norm}.running_mean'] = state[f'{norm}.running_mean'] - stem.offset
