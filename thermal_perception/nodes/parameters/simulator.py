"""Parameters of every node that shows a simulated world."""

from __future__ import annotations

from dataclasses import dataclass

from thermal_perception.nodes.parameters.managed import ManagedParameters
from thermal_perception.nodes.parameters.parameter_set import parameter


@dataclass(frozen=True)
class SimulatorParameters(ManagedParameters):
    """What they have in common."""

    seed: int = parameter(0, 'Another number is another world.', minimum=0, maximum=2**31 - 1)
    rate_hz: float = parameter(
        10.0, 'Images per second of each camera.', unit='Hz', minimum=0.1, maximum=120.0
    )
    start_s: float = parameter(
        0.0, 'Time of the scene at the first image.', unit='s', minimum=0.0, maximum=1e6
    )
    duration_s: float = parameter(
        0.0,
        'The node becomes inactive after so many seconds of scene; 0 goes on for ever.',
        unit='s',
        minimum=0.0,
        maximum=1e6,
    )
    world_frame: str = parameter('map', 'Frame of the odometry.')
