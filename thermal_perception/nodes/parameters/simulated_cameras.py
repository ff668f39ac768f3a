"""Parameters of the node `simulated_cameras`."""

from __future__ import annotations

from dataclasses import dataclass

from thermal_perception.nodes.parameters.parameter_set import parameter
from thermal_perception.nodes.parameters.simulator import SimulatorParameters
from thermal_perception.simulation import CONDITIONS, PRESETS


@dataclass(frozen=True)
class SimulatedCamerasParameters(SimulatorParameters):
    """Parameters of the node `simulated_cameras`; `ros2 param describe` prints them."""

    preset: str = parameter(
        'road', 'road, intersection: cameras on a vehicle; aerial: below a drone.', choices=PRESETS
    )
    condition: str = parameter('night', 'Weather and light.', choices=tuple(CONDITIONS))
    bits: int = parameter(
        8,
        'Depth of the thermal image: 8 as the camera shows it, 16 for counts of 10 mK.',
        unit='bit',
        choices=(8, 16),
    )
    thermal_size: tuple[int, ...] = parameter(
        (512, 640), 'Height and width of the thermal image.', unit='px'
    )
    rgb_size: tuple[int, ...] = parameter(
        (720, 1280), 'Height and width of the colour image.', unit='px'
    )
    registered: bool = parameter(
        False, 'Both cameras share pose, size and lens, so that their pixels correspond.'
    )
    ffc_period_s: float = parameter(
        0.0,
        'Time between shutter corrections, which freeze the thermal image for 0.6 s; 0 never.',
        unit='s',
        minimum=0.0,
        maximum=1e6,
    )
    publish_rgb: bool = parameter(True, 'Publish rgb/image_raw and rgb/camera_info.')
    drop_rgb: bool = parameter(False, 'Fault: the colour camera is silent.', changeable=True)
    drop_thermal: bool = parameter(False, 'Fault: the thermal camera is silent.', changeable=True)
    freeze_thermal: bool = parameter(
        False, 'Fault: the thermal camera repeats its last image.', changeable=True
    )
    time_offset_s: float = parameter(
        0.0,
        'Fault: the clock of the colour camera is ahead by this.',
        unit='s',
        minimum=-1e6,
        maximum=1e6,
        changeable=True,
    )
    jitter_s: float = parameter(
        0.0,
        'Fault: stamps of both cameras are off by up to this, either way.',
        unit='s',
        minimum=0.0,
        maximum=1e3,
        changeable=True,
    )
    out_of_order: float = parameter(
        0.0,
        'Fault: probability that an image is sent after the next one.',
        minimum=0.0,
        maximum=1.0,
        changeable=True,
    )
