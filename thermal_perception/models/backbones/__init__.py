"""Image encoders that return C3, C4 and C5, and C2 where asked for, by stride."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thermal_perception.models.backbones.base import Backbone, STRIDES
from thermal_perception.models.backbones.convnext_v2 import ConvNeXtV2
from thermal_perception.models.backbones.efficientnet_lite import EfficientNetLite0
from thermal_perception.models.backbones.resnet import ResNet

if TYPE_CHECKING:
    from thermal_perception.models.config import BackboneName


def make_backbone(
    name: BackboneName,
    *,
    train_norm: bool,
    freeze_early: bool,
    dilate: bool = False,
    in_channels: int = 3,
    strides: tuple[int, ...] = STRIDES,
) -> Backbone:
    """Build a backbone with random weights.

    Args:
        name: see `FusionDetrConfig.backbone`.
        train_norm: make weight and bias of frozen batch norms trainable; without it they are
            constants, as in DETR. The layer norms of ConvNeXt V2 are always trainable.
        freeze_early: keep stem and first stage constant.
        dilate: keep the last stage at stride 16 by dilation (DC5).
        in_channels: 3, or 1 for a stem whose weights are summed over R, G and B.
        strides: of the maps to return, among 4, 8, 16 and 32.
    """
    if name == 'efficientnet_lite0':
        backbone: Backbone = EfficientNetLite0(
            affine=train_norm, dilate=dilate, in_channels=in_channels, strides=strides
        )
    elif name.startswith('resnet'):
        backbone = ResNet(
            name, affine=train_norm, dilate=dilate, in_channels=in_channels, strides=strides
        )
    else:
        backbone = ConvNeXtV2(name, dilate=dilate, in_channels=in_channels, strides=strides)
    if freeze_early:
        backbone.freeze_early()
    return backbone


__all__ = ['Backbone', 'ConvNeXtV2', 'EfficientNetLite0', 'make_backbone', 'ResNet']
