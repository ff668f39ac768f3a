"""Parameters of the node `simulated_crossing`."""

from __future__ import annotations

from dataclasses import dataclass

from thermal_perception.nodes.parameters.parameter_set import parameter
from thermal_perception.nodes.parameters.simulator import SimulatorParameters
from thermal_perception.simulation import CONDITIONS


@dataclass(frozen=True)
class SimulatedCrossingParameters(SimulatorParameters):
    """Parameters of the node `simulated_crossing`; `ros2 param describe` prints them."""

    condition: str = parameter('day', 'Weather and light.', choices=tuple(CONDITIONS))
    size: tuple[int, ...] = parameter((540, 960), 'Height and width of the images.', unit='px')
    infra_lead_s: float = parameter(
        0.0,
        'The roadside camera takes its images so much earlier, and stamps them so.',
        unit='s',
        minimum=0.0,
        maximum=10.0,
    )
    pose_noise_m: float = parameter(
        0.0,
        'Standard deviation of the error of ego/odometry along x and y.',
        unit='m',
        minimum=0.0,
        maximum=100.0,
        changeable=True,
    )
    pose_noise_deg: float = parameter(
        0.0,
        'Standard deviation of the error of its heading.',
        unit='deg',
        minimum=0.0,
        maximum=180.0,
        changeable=True,
    )
