"""The two encoders, one per camera: ConvNeXt V2 with the features after each of its stages."""

from __future__ import annotations

from typing import cast, Literal, TYPE_CHECKING

from torch import nn, Tensor
import torch.nn.functional as F

from thermal_perception.models.backbones.base import FoldedStem
from thermal_perception.models.backbones.convnext_v2 import ConvNeXtV2
from thermal_perception.models.padding import blank

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thermal_perception.models.backbones.convnext_v2 import Block, Stage
    from thermal_perception.models.rgbt_segmentation.config import RgbtSegmentationConfig

STRIDES = (4, 8, 16, 32)
Camera = Literal['thermal', 'rgb']


class Encoder(ConvNeXtV2):
    """ConvNeXt V2 without a norm on what leaves it, for images that may be padded.

    Attributes:
        mean: of the input in 0..1, per channel.
        std: matching standard deviation.
    """

    def __init__(self, name: str, *, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        """Create it with random weights, for as many channels as there are means."""
        super().__init__(name, in_channels=len(mean), strides=STRIDES)
        self.tap_norms = nn.ModuleDict()  # the published network has none
        self.mean, self.std = mean, std
        self._keep_statistics()

    def forward(self, x: Tensor, padding: Tensor | None = None) -> dict[int, Tensor]:
        """Return the maps after each stage.

        Args:
            x: normalised (B, C, H, W), zero where padded.
            padding: (B, H, W) bool or None. Beyond it, nothing is seen: valid cells of an image
                whose size is a multiple of 32 are as without it.

        Returns:
            (B, C_s, H / s, W / s) by stride s, sizes rounded down, zero where padded.
        """
        x = self.stem(x)
        features = {}
        for stride, stage in zip(STRIDES, self.stages):
            x = stage(x) if padding is None else _padded_stage(cast('Stage', stage), x, padding)
            features[stride] = x
        return features

    def fold_stem(self, weight: Tensor) -> FoldedStem:
        """Sum a published (out, 3, k, k) stem over its channels.

        The one channel is normalised by statistics of its own; the kernel then gives what three
        equal channels, so normalised, would give.
        """
        return FoldedStem(weight.sum(1, keepdim=True), weight.new_zeros(len(weight)))


def _padded_stage(stage: Stage, x: Tensor, padding: Tensor) -> Tensor:
    x = blank(stage.downsample(x), padding, inplace=True)
    for block in stage.blocks:
        x = blank(_padded_block(cast('Block', block), x, padding), padding, inplace=True)
    return x


def _padded_block(block: Block, x: Tensor, padding: Tensor) -> Tensor:
    """Run a block whose response norm, which looks at the whole map, counts no padded cell."""
    y = block.norm(block.conv_dw(x).permute(0, 2, 3, 1))  # [batch, height, width, channels]
    hidden = F.gelu(block.mlp.fc1(y)).permute(0, 3, 1, 2)
    hidden = blank(hidden, padding, inplace=True).permute(0, 2, 3, 1)
    return x + block.mlp.fc2(block.mlp.grn(hidden)).permute(0, 3, 1, 2)


class Encoders(nn.ModuleDict):
    """One encoder per camera, by its name; nothing is exchanged between them."""

    def __init__(self, config: RgbtSegmentationConfig) -> None:
        """Create those of the cameras that the network has."""
        statistics = {
            'thermal': ((config.thermal_mean,), (config.thermal_std,)),
            'rgb': (ConvNeXtV2.rgb_mean, ConvNeXtV2.rgb_std),
        }
        super().__init__(
            {
                camera: Encoder(config.encoder, mean=mean, std=std)
                for camera, (mean, std) in statistics.items()
                if config.cameras in ('both', camera)
            }
        )

    def of(self, camera: Camera) -> Encoder:
        """Return the encoder of a camera that the network has."""
        return cast('Encoder', self[camera])

    @property
    def channels(self) -> Mapping[int, int]:
        """Channels of the maps of either encoder, by stride."""
        return cast('Encoder', next(iter(self.values()))).channels

    def adapt_state_dict(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Turn one published (timm) state dict into one of this module: the same for each camera.

        The published weights are licensed CC BY-NC 4.0: what is trained from them cannot be
        shipped.
        """
        return {
            f'{camera}.{name}': value
            for camera, encoder in self.items()
            for name, value in cast('Encoder', encoder).adapt_state_dict(state).items()
        }
