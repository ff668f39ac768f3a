"""ORPPT, the branch that makes the fused image from pixels and from regions of both images.

Source: Zhang et al., E2E-MFD, arXiv 2403.09323, section 3.2, and its released code; Zhao et al.,
MetaFusion, CVPR 2023, for the pixel branch and the weight maps.
"""

from __future__ import annotations

from typing import NamedTuple, TYPE_CHECKING

import torch
from torch import nn, Tensor

from thermal_perception.models.conv_norm import ConvNorm, kaiming
from thermal_perception.models.e2e_mfd.brightness import brightness, compose
from thermal_perception.models.e2e_mfd.conv_chain import ConvChain
from thermal_perception.models.e2e_mfd.guided import guided_enlarge
from thermal_perception.models.e2e_mfd.region_gate import modulate, RegionGate
from thermal_perception.models.padding import padding_at, reduce

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thermal_perception.models.e2e_mfd.config import OrpptConfig

_IMAGE_CHANNELS = 4  # y, R, G, B
_FIRST_WEIGHTS = 0.1  # gain of the last convolution: both weights start close to one half


class FusedOutput(NamedTuple):
    """The fused image.

    Attributes:
        fused: (B, 1, H, W) brightness u in 0..2, not clipped.
        weights: (B, 2, H, W) in 0..1: of the thermal image, and of the visible brightness.
    """

    fused: Tensor
    weights: Tensor


class Orppt(nn.Module):
    """Object-region-pixel phylogenetic tree; see `OrpptConfig` for its switches.

    The network gives two weights per pixel and the two cameras give the detail; it may thus work
    at a reduced resolution.
    """

    def __init__(self, config: OrpptConfig, pyramid_width: int) -> None:
        """Create the branch for pyramid levels of `pyramid_width` channels.

        Weights are Kaiming-normal, save that the last ones are small: the fused image starts near
        the mean of both.
        """
        super().__init__()
        self.config = config
        self.pixels = ConvChain(pixel_widths(config)).requires_grad_(not config.freeze_pixels)
        self.project = ConvNorm(pixel_widths(config)[-1], config.width, activation='relu')
        self.gate = RegionGate(config, pyramid_width) if config.levels else None
        widths = (config.width, *config.decoder_widths)
        self.decoder = ConvChain(widths)
        self.weigh = kaiming(nn.Conv2d(widths[-1], 2, 1), gain=_FIRST_WEIGHTS)

    def forward(
        self,
        thermal: Tensor,
        rgb: Tensor,
        pyramid: Mapping[int, Tensor],
        padding: Tensor | None = None,
    ) -> FusedOutput:
        """Fuse registered images.

        Args:
            thermal: (B, 1, H, W) y, float in 0..1; H and W are multiples of `reduction`.
            rgb: (B, 3, H, W) R, G, B, float in 0..1.
            pyramid: levels (B, C, H/s, W/s) of both images together by stride s, at least those
                that the configuration names.
            padding: (B, H, W) bool, True where padded, or None when no image is padded.
        """
        visible = brightness(rgb)
        images = (thermal, rgb, visible)
        y, x, v = (reduce(image, self.config.reduction, padding) for image in images)
        logits = self._logits(torch.cat((y, x), 1), pyramid, padding)
        if self.config.reduction > 1:
            logits = guided_enlarge(
                logits,
                guide=(thermal, visible),
                reduced=(y, v),
                radius=self.config.guide_radius,
                epsilon=self.config.guide_epsilon,
                padding=padding,
            )
        weights = self._weights(logits)
        return FusedOutput(compose(weights, thermal=thermal, visible=visible), weights)

    def _logits(
        self, images: Tensor, pyramid: Mapping[int, Tensor], padding: Tensor | None
    ) -> Tensor:
        """Return the weights (B, 1 or 2, h, w) before their activation, of images (B, 4, h, w)."""
        size = images.shape[-2:]
        cells = padding_at(padding, size)
        images = images.contiguous(memory_format=torch.channels_last)  # half the time on a CPU
        features = self.project(self.pixels(images, cells), cells)
        if self.gate is not None:
            features = modulate(features, self.gate(pyramid, size, padding))
        logits = self.weigh(self.decoder(features, cells))
        if self.config.weights == 'sigmoid':
            return logits
        thermal, visible = logits.split(1, 1)
        return thermal - visible  # softmax of two is the sigmoid of their difference

    def _weights(self, logits: Tensor) -> Tensor:
        """Return the weights (B, 2, H, W)."""
        weights = logits.sigmoid()
        return weights if weights.shape[1] == 2 else torch.cat((weights, 1 - weights), 1)


def pixel_widths(config: OrpptConfig) -> tuple[int, ...]:
    """Return the channels along the pixel branch, from the images to what leaves it.

    The published blocks end in two parallel convolutions whose outputs are concatenated; that is
    one convolution with twice the outputs.
    """
    widths = [_IMAGE_CHANNELS]
    for block in range(config.pixel_blocks):
        width = config.pixel_width * 2**block
        widths += [width] * config.pixel_convs + [2 * width]
    return tuple(widths)
