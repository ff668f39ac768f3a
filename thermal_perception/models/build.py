"""Build a model from its name and plain configuration."""

from __future__ import annotations

from typing import Any, TYPE_CHECKING

from thermal_perception.config import from_mapping
from thermal_perception.errors import ConfigError
from thermal_perception.models.config import FusionDetrConfig
from thermal_perception.models.e2e_mfd.config import E2eMfdConfig
from thermal_perception.models.e2e_mfd.network import E2eMfd
from thermal_perception.models.emiff.config import EmiffConfig
from thermal_perception.models.emiff.network import Emiff
from thermal_perception.models.fusion_detr import FusionDetr
from thermal_perception.models.rgbt_segmentation.config import RgbtSegmentationConfig
from thermal_perception.models.rgbt_segmentation.network import RgbtSegmentation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn


def make_model(architecture: str, config: Mapping[str, Any], *, where: str) -> nn.Module:
    """Build a network with random weights.

    Args:
        architecture: `fusion_detr`, `e2e_mfd`, `rgbt_segmentation` or `emiff`.
        config: fields of the architecture's config dataclass.
        where: file the values came from, for messages.

    Raises:
        ConfigError: for an unknown architecture or a bad field.
    """
    if architecture == 'fusion_detr':
        return FusionDetr(from_mapping(FusionDetrConfig, config, where=where))
    if architecture == 'e2e_mfd':
        return E2eMfd(from_mapping(E2eMfdConfig, config, where=where))
    if architecture == 'rgbt_segmentation':
        return RgbtSegmentation(from_mapping(RgbtSegmentationConfig, config, where=where))
    if architecture == 'emiff':
        return Emiff(from_mapping(EmiffConfig, config, where=where))
    raise ConfigError(
        f'{where}: found architecture {architecture!r}, expected one of fusion_detr, e2e_mfd, '
        'rgbt_segmentation, emiff'
    )
