"""Build a model from its name and plain configuration."""

from __future__ import annotations

from typing import Any, TYPE_CHECKING

from thermal_perception.config import from_mapping
from thermal_perception.errors import ConfigError
from thermal_perception.models.config import FusionDetrConfig
from thermal_perception.models.fusion_detr import FusionDetr

if TYPE_CHECKING:
    from collections.abc import Mapping

ARCHITECTURES = ('fusion_detr',)


def make_model(architecture: str, config: Mapping[str, Any], *, where: str) -> FusionDetr:
    """Build a network with random weights.

    Args:
        architecture: one of `ARCHITECTURES`.
        config: fields of the architecture's config dataclass.
        where: file the values came from, for messages.

    Raises:
        ConfigError: for an unknown architecture or a bad field.
    """
    if architecture not in ARCHITECTURES:
        raise ConfigError(
            f'{where}: found architecture {architecture!r}, expected one of '
            f'{", ".join(ARCHITECTURES)}'
        )
    return FusionDetr(from_mapping(FusionDetrConfig, config, where=where))
