"""Parameters of the node `fusion_detr`."""

from __future__ import annotations

from dataclasses import dataclass

from thermal_perception.nodes.parameters.parameter_set import parameter
from thermal_perception.nodes.parameters.perception import PerceptionParameters


@dataclass(frozen=True)
class FusionDetrParameters(PerceptionParameters):
    """Parameters of the node `fusion_detr`; `ros2 param describe` prints them."""

    publish_fusion_weights: bool = parameter(
        True, 'Publish ~/fusion_weights while somebody subscribes.', changeable=True
    )
