"""What every backbone offers, and how its stem sees a grey image."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple, TYPE_CHECKING

import torch
from torch import nn

from thermal_perception.models.padding import blank

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
        self._mean: Tensor
        self._std: Tensor
        self._keep_statistics()

    def _keep_statistics(self) -> None:
        """Take `mean` and `std` to the device of the network."""
        for name, values in (('_mean', self.mean), ('_std', self.std)):
            self.register_buffer(name, torch.tensor(values)[:, None, None], persistent=False)

    def normalise(self, images: Tensor, padding: Tensor | None = None) -> Tensor:
        """Return what `forward` takes.

        A stem of three channels does not need a grey image three times: with what each would be,
        (x - mean) / std, its response is linear in x and in what is one inside the image and zero
        where it is padded, as beyond its border. These two channels are returned, for which
        `stem_kernel` has the kernel. In single precision that gives the same numbers.

        Args:
            images: (B, in_channels or 1, H, W) in 0..1.
            padding: (B, H, W) bool, True where padded; None if nothing is.

        Returns:
            (B, in_channels or 2, H, W), zero where padded, channels last.
        """
        if images.shape[1] == self.in_channels:
            x = (images - self._mean) / self._std
        else:
            x = torch.cat((images, torch.ones_like(images)), 1)
        return blank(x.contiguous(memory_format=torch.channels_last), padding)

    def stem_kernel(self, weight: Tensor, x: Tensor) -> Tensor:
        """Return what stands for the (out, in_channels, k, k) stem before (B, C, H, W) images."""
        if x.shape[1] == self.in_channels:
            return weight
        gain = weight / self._std
        return torch.stack((gain.sum(1), -(gain * self._mean).sum(1)), 1)

    @abstractmethod
    def forward(self, x: Tensor) -> dict[int, Tensor]:
        """Map images, see `normalise`, to the maps asked for, by stride.

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
