"""Typed configuration of RGB-T segmentation; defaults are the published nano network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from thermal_perception.class_sets import MFNET
from thermal_perception.errors import ConfigError

EncoderName = Literal[
    'convnextv2_atto',
    'convnextv2_femto',
    'convnextv2_nano',
    'convnextv2_tiny',
    'convnextv2_base',
]
Border = Literal['zero', 'replicate']


@dataclass(frozen=True)
class RgbtSegmentationConfig:
    """Everything that shapes the network.

    Attributes:
        class_names: lower-case names in label order; the background is a class like any other.
        encoder: ConvNeXt V2 of either camera; both are built alike and share no weights.
        cameras: `both`, or one alone, which leaves the other encoder and all fusion out: what the
            two together are compared with.
        fine_fusion: at strides 4 and 8, `frequency` (the published module), or `addition` of both
            maps, an ablation.
        confidence_gate: scale what the fine fusion sees of RGB by a confidence in that image.
        coarse_fusion: at strides 16 and 32, `semantic` (the published module) or `addition`.
        blur_border: what the low-pass filter of the fine fusion sees beyond the image: `zero`, as
            published, or the outermost cells (`replicate`), which makes no edge out of the border.
        decoder_width: f, channels of the decoder; None takes those of the encoder's first stage.
        reduction: n, both images are averaged over n x n pixels before the encoders, and the
            logits brought back to full size; 2 quarters the work and loses what is thin.
        dropout: share of channels left out before the main classifier, in training.
        thermal_mean: of thermal images in 0..1, as the network is trained; by default MFNet's.
        thermal_std: matching standard deviation.
    """

    class_names: tuple[str, ...] = MFNET.names
    encoder: EncoderName = 'convnextv2_nano'
    cameras: Literal['both', 'thermal', 'rgb'] = 'both'
    fine_fusion: Literal['frequency', 'addition'] = 'frequency'
    confidence_gate: bool = True
    coarse_fusion: Literal['semantic', 'addition'] = 'semantic'
    blur_border: Border = 'zero'
    decoder_width: int | None = None
    reduction: int = 1
    dropout: float = 0.1
    thermal_mean: float = 0.3616
    thermal_std: float = 0.0765

    def __post_init__(self) -> None:
        """Refuse what cannot be built."""
        if len(self.class_names) < 2:
            raise ConfigError(f'class_names: found {self.class_names}, expected at least two')
        if self.decoder_width is not None and (self.decoder_width < 2 or self.decoder_width % 2):
            raise ConfigError(
                f'decoder_width: found {self.decoder_width}, expected an even number, 2 or more'
            )
        if self.reduction < 1:
            raise ConfigError(f'reduction: found {self.reduction}, expected at least 1')
        if not 0 <= self.dropout < 1:
            raise ConfigError(f'dropout: found {self.dropout}, expected 0 or more, below 1')
        if not self.thermal_std > 0:
            raise ConfigError(f'thermal_std: found {self.thermal_std}, expected above 0')

    @property
    def num_classes(self) -> int:
        """K."""
        return len(self.class_names)
