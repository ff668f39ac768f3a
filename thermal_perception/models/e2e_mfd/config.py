"""Typed configuration of E2E-MFD; defaults are the published system where its sources agree."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from thermal_perception.errors import ConfigError
from thermal_perception.models.config import BackboneName

_LEVELS = (4, 8, 16, 32)


@dataclass(frozen=True)
class OrpptConfig:
    """The branch that makes the fused image (object-region-pixel phylogenetic tree).

    Attributes:
        pixel_width: width of the first convolutions of the pixel branch; what leaves it has four
            times as many channels.
        pixel_blocks: feature-fusion blocks of the pixel branch; each doubles the width.
        pixel_convs: 3x3 convolutions in a row in each block, before its two parallel ones.
        freeze_pixels: keep the pixel branch at its random start, as the released code does.
        levels: strides of the pyramid levels that have a region branch; empty leaves only the
            pixel branch.
        region: how a region branch makes its masks: `prompt` by learnable vectors (the paper),
            `sk` by a selective-kernel unit (the released code).
        region_masks: M, masks per level.
        region_features: what the masks select from: `conv` (3x3, norm, ReLU) or `identity`; `sk`
            takes the identity.
        width: channels in which branches meet.
        gate: `sigmoid` (the paper) or `hard_sigmoid` behind a ReLU (the released code), which
            never closes below one half.
        decoder_widths: channels of the 3x3 convolutions that make the weight maps.
        weights: `sigmoid` lets both weights be anything in (0, 1); `softmax` makes them sum to
            one.
        reduction: work at 1/n of the resolution and bring the two weight maps back by a guided
            filter; 1 works at full resolution.
        guide_radius: of that filter's window, pixels of the reduced maps.
        guide_epsilon: variance of an image, intensities in 0..1 squared, below which that filter
            takes its detail for noise.
    """

    pixel_width: int = 32
    pixel_blocks: int = 2
    pixel_convs: int = 3
    freeze_pixels: bool = False
    levels: tuple[int, ...] = (4, 8, 16)
    region: Literal['prompt', 'sk'] = 'prompt'
    region_masks: int = 2
    region_features: Literal['conv', 'identity'] = 'conv'
    width: int = 128
    gate: Literal['sigmoid', 'hard_sigmoid'] = 'sigmoid'
    decoder_widths: tuple[int, ...] = (64, 64, 64, 32)
    weights: Literal['sigmoid', 'softmax'] = 'sigmoid'
    reduction: int = 1
    guide_radius: int = 1
    guide_epsilon: float = 1e-3

    def __post_init__(self) -> None:
        """Refuse what cannot be built."""
        for name in (
            'pixel_width',
            'pixel_blocks',
            'pixel_convs',
            'region_masks',
            'width',
            'reduction',
            'guide_radius',
        ):
            if getattr(self, name) < 1:
                raise ConfigError(f'{name}: found {getattr(self, name)}, expected at least 1')
        if any(level not in _LEVELS for level in self.levels):
            raise ConfigError(f'levels: found {self.levels}, expected strides among {_LEVELS}')
        if not self.guide_epsilon > 0:
            raise ConfigError(f'guide_epsilon: found {self.guide_epsilon}, expected above 0')


@dataclass(frozen=True)
class DiffusionHeadConfig:
    """The detection head: boxes are found by taking noise away from random ones.

    Attributes:
        boxes: `upright` (cx, cy, w, h), or `oriented` with an angle as the fifth value, which is
            ours: the released system for oriented boxes has no diffusion.
        proposals: N, noisy boxes per image.
        stages: refinements per step, each with its own weights.
        num_heads: of the attention among proposals.
        dynamic_width: inner channels of the convolution that each proposal makes for itself.
        ffn_dim: hidden width of the feed-forward part.
        time_dim: width of the embedding of the noise level.
        class_layers: hidden layers of the class branch.
        box_layers: hidden layers of the box branch.
        roi_size: cells of a region of interest along each side.
        sampling_ratio: samples per cell along each side.
        timesteps: T, levels of noise.
        signal_scale: s, boxes in 0..1 are stretched to -s..s before noise is added.
        steps: S, steps of the sampler; more are slower and a little better.
        renewal_score: between steps, proposals that score less start anew.
        ensemble: with several steps, keep what each of them found.
        seed: of the noise detection starts from, the same for every image.
    """

    boxes: Literal['upright', 'oriented'] = 'upright'
    proposals: int = 500
    stages: int = 6
    num_heads: int = 8
    dynamic_width: int = 64
    ffn_dim: int = 2048
    time_dim: int = 1024
    class_layers: int = 1
    box_layers: int = 3
    roi_size: int = 7
    sampling_ratio: int = 2
    timesteps: int = 1000
    signal_scale: float = 2.0
    steps: int = 1
    renewal_score: float = 0.5
    ensemble: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be built."""
        for name in (
            'proposals',
            'stages',
            'num_heads',
            'dynamic_width',
            'ffn_dim',
            'time_dim',
            'class_layers',
            'box_layers',
            'roi_size',
            'sampling_ratio',
            'timesteps',
            'steps',
        ):
            if getattr(self, name) < 1:
                raise ConfigError(f'{name}: found {getattr(self, name)}, expected at least 1')
        if self.steps > self.timesteps:
            raise ConfigError(f'steps: found {self.steps}, expected at most {self.timesteps}')
        if not self.signal_scale > 0:
            raise ConfigError(f'signal_scale: found {self.signal_scale}, expected above 0')

    @property
    def box_values(self) -> int:
        """Values that describe a box: 4, or 5 with an angle."""
        return 5 if self.boxes == 'oriented' else 4


@dataclass(frozen=True)
class E2eMfdConfig:
    """Everything that shapes E2E-MFD.

    Attributes:
        class_names: lower-case names in label order.
        backbone: encoder that sees both images, one after the other, with the same weights.
        train_norm: also train weight and bias of the backbone's frozen norms.
        freeze_early: keep stem and first stage constant.
        own_norms: let the colour image have its own gain and shift behind each trainable norm of
            the backbone, see `OwnNorms`; ours.
        own_laterals: give each camera the lateral convolutions of the pyramid for itself, which
            add up behind them; the paper adds up before. Ours.
        pyramid_width: channels of P2..P5.
        fusion: see `OrpptConfig`.
        detection: see `DiffusionHeadConfig`.
    """

    class_names: tuple[str, ...] = ('people', 'car', 'bus', 'lamp', 'motorcycle', 'truck')
    backbone: BackboneName = 'resnet50'
    train_norm: bool = False
    freeze_early: bool = True
    own_norms: bool = False
    own_laterals: bool = False
    pyramid_width: int = 256
    fusion: OrpptConfig = field(default_factory=OrpptConfig)
    detection: DiffusionHeadConfig = field(default_factory=DiffusionHeadConfig)

    def __post_init__(self) -> None:
        """Refuse what cannot be built."""
        if not self.class_names:
            raise ConfigError('class_names: found none, expected at least one')
        if self.pyramid_width % self.detection.num_heads:
            raise ConfigError(
                f'pyramid_width: found {self.pyramid_width}, expected a multiple of num_heads '
                f'{self.detection.num_heads}'
            )

    @property
    def num_classes(self) -> int:
        """K."""
        return len(self.class_names)
