"""Parameters of the node `e2e_mfd`."""

from __future__ import annotations

from dataclasses import dataclass

from thermal_perception.nodes.parameters.pair import PairParameters
from thermal_perception.nodes.parameters.parameter_set import parameter


@dataclass(frozen=True)
class E2eMfdParameters(PairParameters):
    """Parameters of the node `e2e_mfd`; `ros2 param describe` prints them."""

    model: str = parameter(
        'e2e_mfd_lite', 'Model whose shipped weights are used while `checkpoint` is empty.'
    )
    publish_fused_image: bool = parameter(
        True, 'Publish ~/fused_image while somebody subscribes.', changeable=True
    )
    fused_encoding: str = parameter(
        'bgr8',
        'bgr8 takes colours from the RGB image, mono8 is the fused brightness alone.',
        choices=('bgr8', 'mono8'),
        changeable=True,
    )
