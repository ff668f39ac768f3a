"""Parameters that all nodes with a thermal and a colour camera have."""

from __future__ import annotations

from dataclasses import dataclass

from thermal_perception.nodes.parameters.parameter_set import parameter
from thermal_perception.nodes.parameters.perception import PerceptionParameters


@dataclass(frozen=True)
class PairParameters(PerceptionParameters):
    """Parameters of every node that looks through a thermal and a colour camera."""

    rgb_image_transport: str = parameter(
        'raw',
        'The same as image_transport for rgb/image_raw.',
        choices=('raw', 'compressed'),
    )
    max_offset_s: float = parameter(
        0.02,
        'Largest difference of stamps of two images that are taken for one moment, after '
        'time_offset_s.',
        unit='s',
        minimum=0.0,
        maximum=10.0,
    )
    time_offset_s: float = parameter(
        0.0,
        'RGB stamp minus thermal stamp of the same moment, a constant of the rig; diagnostics '
        'report what is measured.',
        unit='s',
        minimum=-10.0,
        maximum=10.0,
    )
    max_wait_s: float = parameter(
        0.1,
        'So long a thermal image waits for its RGB image, then it goes on alone.',
        unit='s',
        minimum=0.0,
        maximum=60.0,
    )
    rgb_min_period_s: float = parameter(
        0.0,
        'RGB stamps are known to lie at least so far apart, for example 0.03 at 30 Hz: a thermal '
        'image stamped shortly after an RGB image then need not wait for the next one to know '
        'which is nearer; 0 if unknown.',
        unit='s',
        minimum=0.0,
        maximum=10.0,
    )
    pairing_capacity: int = parameter(
        16,
        'Images of each camera that may be held while their counterparts are awaited; at least '
        'max_wait_s times the rate.',
        minimum=1,
        maximum=10_000,
    )
    modality_timeout_s: float = parameter(
        1.0,
        'Without a usable image of one camera for so long the node is degraded, and thermal '
        'images no longer wait for a silent RGB camera.',
        unit='s',
        minimum=0.05,
        maximum=3600.0,
    )
    allow_rgb_only: bool = parameter(
        False,
        'Go on with RGB images alone while the thermal camera is silent; results are then in '
        'pixels and frame of the RGB camera, and less is seen at night.',
    )
    T_thermal_rgb: tuple[float, ...] = parameter(
        (0.0,) * 7,
        'Pose of the RGB camera in the thermal one, both optical frames: x, y, z in m, qx, qy, '
        'qz, qw; needs camera_info of both. All zeros: unknown.',
    )
    registration_depth_m: float = parameter(
        20.0,
        'Distance at which T_thermal_rgb registers exactly; objects at Z are off by '
        'f B |1/Z - 1/Z0| pixels.',
        unit='m',
        minimum=0.1,
        maximum=1e6,
    )
    homography: tuple[float, ...] = parameter(
        (0.0,) * 9,
        'Thermal to RGB pixels of the raw images, 3 x 3, row by row, instead of T_thermal_rgb. '
        'All zeros: unknown; without both, images must be registered and of one size.',
    )
