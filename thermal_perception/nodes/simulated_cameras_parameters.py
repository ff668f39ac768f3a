"""Parameters of the node `simulated_cameras`."""

from __future__ import annotations

from dataclasses import dataclass

from thermal_perception.nodes.managed import ManagedParameters
from thermal_perception.nodes.parameters import parameter
from thermal_perception.simulation import CONDITIONS, PRESETS


@dataclass(frozen=True)
class SimulatedCamerasParameters(ManagedParameters):
    """Parameters of the node `simulated_cameras`; `ros2 param describe` prints them."""

    preset: str = parameter(
        'road', 'road: a vehicle in a street; aerial: a drone looking down.', choices=PRESETS
    )
    condition: str = parameter('night', 'Weather and light.', choices=tuple(CONDITIONS))
    seed: int = parameter(
        1_000_003, 'Layout, looks and motion of the world.', minimum=0, maximum=2**31 - 1
    )
    rate_hz: float = parameter(
        10.0, 'Images per second and camera.', unit='Hz', minimum=0.1, maximum=240.0
    )
    duration_s: float = parameter(
        0.0, 'Stop publishing after so long; 0 goes on.', unit='s', minimum=0.0, maximum=1e6
    )
    bits: int = parameter(
        16, '8: mono8 with automatic gain; 16: mono16, 0.01 K per count.', minimum=8, maximum=16
    )
    thermal_size: tuple[int, ...] = parameter((512, 640), 'Height and width.', unit='px')
    rgb_size: tuple[int, ...] = parameter((720, 1280), 'Height and width.', unit='px')
    registered: bool = parameter(
        False, 'Give the colour camera the pose, size and lens of the thermal one.'
    )
    publish_rgb: bool = parameter(True, 'Also render the colour camera.', changeable=True)
    ffc_period_s: float = parameter(
        0.0,
        'Time between shutter events, during which the thermal image stands still; 0: none.',
        unit='s',
        minimum=0.0,
        maximum=3600.0,
    )
    drop_thermal: bool = parameter(False, 'Fault: no thermal image.', changeable=True)
    drop_rgb: bool = parameter(False, 'Fault: no colour image.', changeable=True)
    freeze_thermal: bool = parameter(
        False, 'Fault: the last thermal image over and over, newly stamped.', changeable=True
    )
    time_offset_s: float = parameter(
        0.0,
        'Fault: added to the stamps of the colour camera.',
        unit='s',
        minimum=-60.0,
        maximum=60.0,
        changeable=True,
    )
    jitter_s: float = parameter(
        0.0,
        'Fault: stamps are off by up to so much, either way.',
        unit='s',
        minimum=0.0,
        maximum=10.0,
        changeable=True,
    )
    out_of_order: bool = parameter(
        False,
        'Fault: every second thermal image comes after the one that follows it.',
        changeable=True,
    )
