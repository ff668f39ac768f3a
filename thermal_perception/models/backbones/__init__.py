"""Image encoders that return C3, C4 and C5 by stride."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from thermal_perception.models.backbones.efficientnet_lite import EfficientNetLite0
from thermal_perception.models.layers import FrozenBatchNorm2d

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from thermal_perception.models.config import BackboneName


def make_backbone(
    name: BackboneName, *, train_norm: bool, freeze_early: bool, dilate: bool = False
) -> nn.Module:
    """Build a backbone with random weights.

    Args:
        name: see `FusionDetrConfig.backbone`.
        train_norm: leave weight and bias of frozen norms trainable.
        freeze_early: keep stem and first stage constant.
        dilate: keep the last stage at stride 16 by dilation (DC5).
    """
    backbone = EfficientNetLite0()
    for module in backbone.modules():
        if isinstance(module, FrozenBatchNorm2d):
            module.requires_grad_(train_norm)
    if freeze_early:
        backbone.freeze_early()
    return backbone
