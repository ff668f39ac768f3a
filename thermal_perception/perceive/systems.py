"""The neural systems that can run, by architecture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thermal_perception.errors import CheckpointError
from thermal_perception.perceive.e2e_mfd import E2eMfdSystem
from thermal_perception.perceive.fusion_detr import FusionDetrSystem
from thermal_perception.perceive.rgbt_segmentation import RgbtSegmentationSystem
from thermal_perception.perceive.system import Limits

if TYPE_CHECKING:
    from thermal_perception.models.checkpoint import Checkpoint
    from thermal_perception.perceive.system import System

_SYSTEMS: dict[str, type[System]] = {
    'fusion_detr': FusionDetrSystem,
    'e2e_mfd': E2eMfdSystem,
    'rgbt_segmentation': RgbtSegmentationSystem,
}


def make_system(
    checkpoint: Checkpoint, limits: Limits | None = None, *, raw: bool = False
) -> System:
    """Build what goes around a checkpoint's network.

    Args:
        checkpoint: of the network.
        limits: how much of what was found is handed on.
        raw: leave to the network's device what can be prepared there; see `System.network`.

    Raises:
        CheckpointError: if its architecture is none that can run.
    """
    kind = _SYSTEMS.get(checkpoint.info.architecture)
    if kind is None:
        raise CheckpointError(
            f'{checkpoint.path}: found architecture {checkpoint.info.architecture!r}, expected '
            f'one of {", ".join(_SYSTEMS)}'
        )
    return kind(checkpoint.info, limits=limits or Limits(), where=str(checkpoint.path), raw=raw)
