"""Typed configurations of the models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from thermal_perception.errors import ConfigError

BackboneName = Literal[
    'resnet18',
    'resnet34',
    'resnet50',
    'efficientnet_lite0',
    'convnextv2_atto',
    'convnextv2_femto',
    'convnextv2_nano',
    'convnextv2_tiny',
    'convnextv2_base',
]
FusionMode = Literal['selective', 'off', 'uniform', 'bias_only', 'c5_up', 'dc5']


@dataclass(frozen=True)
class FusionDetrConfig:
    """Everything that shapes a Fusion DETR; defaults are the published system.

    Attributes:
        class_names: lower-case names in label order.
        backbone: encoder of the image.
        train_norm: also train weight and bias of the backbone's frozen norms.
        freeze_early: keep stem and first stage constant, as DETR does.
        stem: `copy` repeats the grey channel three times; `sum` folds that and the normalisation
            into a one-channel stem (the same but for the image border).
        fusion: what makes the token map; all but `selective` are ablations.
        grid_stride: stride of the token map, 8 or 16.
        c6_mode: `proj` 3x3 on C5 to d, then 1x1; `cheap` 3x3 on projected C5; `wide` keeps the
            width of C5.
        proj_norm: GroupNorm(32) behind each 1x1 projection.
        mask_norm: divide resized maps by the resized mask so that cells at a padded border keep
            their level.
        share_keys: one key projection for all scales.
        scale: divisor of z, `sqrt_dim`, `dim`, or a number.
        fuse_init: `dirac` starts the 3x3 convolution as the identity.
        scale_pe: add the mixed scale embedding beta.
        scale_pe_target: where beta acts: `pos` on the position encoding of encoder and decoder,
            `content` on the tokens entering the encoder, `query` on the position of the object
            queries, `both` on encoding and tokens.
        d_model: width of all tokens.
        num_heads: attention heads.
        ffn_dim: hidden width of the feed-forward parts.
        encoder_layers: 0 or more.
        encoder_pool: average keys and values over n x n cells (1: exact attention).
        encoder_conv: a 3x3 depthwise convolution inside the encoder's feed-forward part.
        decoder_layers: 1 or more.
        decoder_attention: `global` (DETR) or `deformable` on the one fused map.
        num_points: sampling points per head of deformable attention.
        dropout: in the transformer.
        num_queries: objects per image at most.
        queries: `learned` embeddings (DETR), `anchors` learned boxes refined by each layer
            (DAB-DETR), or `selected` encoder tokens (two-stage).
        distinct_iou: selected tokens whose boxes overlap a better one by more than this come last,
            so that one object does not take many queries (DDQ); 1 turns it off.
        anchor_size_px: side of the reference box a selected token starts from, in grid cells
            times the stride.
        class_loss: `softmax` over K+1 logits; `focal` or `varifocal` over K sigmoids.
        denoising: budget of denoising queries per image in training; 0 turns them off.
    """

    class_names: tuple[str, ...] = ('person', 'bike', 'vehicle')
    backbone: BackboneName = 'resnet50'
    train_norm: bool = False
    freeze_early: bool = True
    stem: Literal['copy', 'sum'] = 'copy'
    fusion: FusionMode = 'selective'
    grid_stride: int = 16
    c6_mode: Literal['proj', 'cheap', 'wide'] = 'proj'
    proj_norm: bool = False
    mask_norm: bool = False
    share_keys: bool = False
    scale: Literal['sqrt_dim', 'dim'] | float = 'sqrt_dim'
    fuse_init: Literal['dirac', 'xavier'] = 'dirac'
    scale_pe: bool = True
    scale_pe_target: Literal['pos', 'content', 'query', 'both'] = 'pos'
    d_model: int = 256
    num_heads: int = 8
    ffn_dim: int = 2048
    encoder_layers: int = 6
    encoder_pool: int = 1
    encoder_conv: bool = False
    decoder_layers: int = 6
    decoder_attention: Literal['global', 'deformable'] = 'global'
    num_points: int = 4
    dropout: float = 0.1
    num_queries: int = 100
    queries: Literal['learned', 'anchors', 'selected'] = 'learned'
    distinct_iou: float = 1.0
    anchor_size_px: float = 24.0
    class_loss: Literal['softmax', 'focal', 'varifocal'] = 'softmax'
    denoising: int = 0

    def __post_init__(self) -> None:
        """Refuse combinations that cannot be built."""
        self._check_numbers()
        self._check_grid()
        self._check_queries()

    def _check_numbers(self) -> None:
        at_least = {
            'd_model': 8,
            'num_heads': 1,
            'ffn_dim': 1,
            'encoder_layers': 0,
            'encoder_pool': 1,
            'decoder_layers': 1,
            'num_points': 1,
            'num_queries': 1,
            'denoising': 0,
        }
        for name, least in at_least.items():
            if getattr(self, name) < least:
                found = getattr(self, name)
                raise ConfigError(f'{name}: found {found}, expected at least {least}')
        if self.d_model % self.num_heads or self.d_model % 8:
            raise ConfigError(
                f'd_model: found {self.d_model}, expected a multiple of 8 and of '
                f'num_heads {self.num_heads}'
            )
        if self.proj_norm and self.d_model % 32:
            raise ConfigError(
                f'd_model: found {self.d_model}, expected a multiple of 32 with proj_norm'
            )
        if not isinstance(self.scale, str) and not self.scale > 0:
            raise ConfigError(f'scale: found {self.scale}, expected a positive number')
        if not 0 <= self.dropout < 1:
            raise ConfigError(f'dropout: found {self.dropout}, expected 0 or more, below 1')
        if not 0 < self.distinct_iou <= 1:
            raise ConfigError(f'distinct_iou: found {self.distinct_iou}, expected in (0, 1]')
        if not self.anchor_size_px > 0:
            raise ConfigError(f'anchor_size_px: found {self.anchor_size_px}, expected above 0')
        if not self.class_names:
            raise ConfigError('class_names: found none, expected at least one')

    def _check_grid(self) -> None:
        if self.grid_stride not in (8, 16):
            raise ConfigError(f'grid_stride: found {self.grid_stride}, expected 8 or 16')
        if self.fusion == 'dc5' and self.grid_stride != 16:
            raise ConfigError(
                f"grid_stride: found {self.grid_stride} with fusion 'dc5', whose dilated C5 has "
                'stride 16: expected 16'
            )

    def _check_queries(self) -> None:
        boxes_needed = self.decoder_attention == 'deformable' or self.denoising
        if self.queries == 'learned' and boxes_needed:
            raise ConfigError(
                "queries: found 'learned' with deformable attention or denoising, which need "
                "reference boxes: expected 'anchors' or 'selected'"
            )
        if self.denoising and self.class_loss == 'softmax':
            raise ConfigError(
                "class_loss: found 'softmax', expected a sigmoid loss with denoising"
            )
        if self.distinct_iou < 1 and self.queries != 'selected':
            raise ConfigError(
                f"queries: found {self.queries!r} with distinct_iou {self.distinct_iou}, which "
                "chooses among tokens: expected 'selected'"
            )
        if self.queries == 'selected' and self.class_loss == 'softmax':
            raise ConfigError(
                "class_loss: found 'softmax', expected a sigmoid loss with selected queries"
            )

    @property
    def num_classes(self) -> int:
        """K, without 'no object'."""
        return len(self.class_names)

    @property
    def num_logits(self) -> int:
        """K+1 for softmax, K for the sigmoid losses."""
        return self.num_classes + (self.class_loss == 'softmax')

    @property
    def num_scales(self) -> int:
        """How many backbone levels are mixed."""
        return 1 if self.fusion in ('off', 'c5_up', 'dc5') else 4

    @property
    def token_stride(self) -> int:
        """Stride of the token map that the transformer sees."""
        return 32 if self.fusion == 'off' else self.grid_stride
