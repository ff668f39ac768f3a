"""Parameters of every node that hears a camera."""

from __future__ import annotations

from dataclasses import dataclass

from thermal_perception.nodes.parameters.managed import ManagedParameters
from thermal_perception.nodes.parameters.parameter_set import parameter


@dataclass(frozen=True)
class CameraParameters(ManagedParameters):
    """What is expected of cameras, and when something is wrong with them."""

    max_pixels: int = parameter(
        2**26, 'Larger images are refused.', unit='px', minimum=1, maximum=2**30
    )
    input_timeout_s: float = parameter(
        1.0,
        'Without an image for so long the input is reported as STALE.',
        unit='s',
        minimum=0.05,
        maximum=3600.0,
        changeable=True,
    )
    freeze_frames: int = parameter(
        5,
        'As many identical images in a row are reported as frozen (shutter, hung driver); '
        '0 does not look; two are the least that can be compared.',
        minimum=0,
        maximum=10_000,
    )
    max_future_s: float = parameter(
        1.0,
        'Images stamped further ahead of the clock are dropped.',
        unit='s',
        minimum=0.0,
        maximum=1e6,
    )
    jump_back_s: float = parameter(
        1.0,
        'A stamp so far before the last one is a restart (bag loop, clock reset); nearer ones '
        'are out of order and dropped.',
        unit='s',
        minimum=0.0,
        maximum=1e6,
    )
    latency_window: int = parameter(
        300,
        'Frames over which median and 99th percentile of the stages are reported.',
        minimum=1,
        maximum=100_000,
    )
