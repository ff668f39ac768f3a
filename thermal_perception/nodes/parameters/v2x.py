"""Parameters of the nodes of EMIFF, at the roadside and in the vehicle."""

from __future__ import annotations

from dataclasses import dataclass

from thermal_perception.nodes.parameters.backend import BackendParameters
from thermal_perception.nodes.parameters.camera import CameraParameters
from thermal_perception.nodes.parameters.parameter_set import parameter

_NOWHERE = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)


@dataclass(frozen=True)
class V2xParameters(BackendParameters, CameraParameters):
    """What both sides have."""

    model: str = parameter(
        'emiff_lite', 'Model whose shipped weights are used while `checkpoint` is empty.'
    )
    checkpoint: str = parameter('', 'Weights file (.safetensors); empty takes the shipped ones.')
    image_transport: str = parameter(
        'raw',
        'raw subscribes to rgb/image_raw, compressed to the resolved name + /compressed.',
        choices=('raw', 'compressed'),
    )
    world_frame: str = parameter(
        'map', 'Frame in which vehicle and roadside know where they are; the same for both.'
    )


@dataclass(frozen=True)
class EmiffInfrastructureParameters(V2xParameters):
    """Parameters of the node `emiff_infrastructure`; `ros2 param describe` prints them."""

    sender_id: str = parameter(
        'infrastructure', 'Name under which the features are sent; that of the public key.'
    )
    T_world_camera: tuple[float, ...] = parameter(
        _NOWHERE,
        'Where the optical frame of the camera is in the world: x, y, z [m], qx, qy, qz, qw.',
    )
    max_bytes_per_frame: int = parameter(
        0,
        'The finest features are sent whose message is no larger; 0 sends the finest.',
        unit='byte',
        minimum=0,
        maximum=2**30,
        changeable=True,
    )
    max_rate_hz: float = parameter(
        10.0, 'Messages per second at most; 0 for every image.', unit='Hz', minimum=0.0,
        maximum=1000.0,
    )  # fmt: skip
    feature_kind: str = parameter(
        'uint8', 'Of the numbers that are sent.', choices=('uint8', 'float16')
    )
    codec: str = parameter('zstd', 'Of the bytes that are sent.', choices=('zstd', 'none'))
    private_key: str = parameter(
        '', 'PEM file of an Ed25519 key to sign with; empty sends unsigned.'
    )


@dataclass(frozen=True)
class EmiffVehicleParameters(V2xParameters):
    """Parameters of the node `emiff_vehicle`; `ros2 param describe` prints them."""

    score_threshold: float = parameter(
        -1.0,
        'Boxes with a lower score are not published; -1 takes the threshold stored with the '
        'weights.',
        minimum=-1.0,
        maximum=1.0,
        changeable=True,
    )
    base_frame: str = parameter('base_link', 'Frame of the published boxes.')
    T_base_lidar: tuple[float, ...] = parameter(
        (0.0, 0.0, 1.78, 0.0, 0.0, 0.0, 1.0),
        'Where the voxel grid is on the vehicle: x, y, z [m], qx, qy, qz, qw of a roof lidar.',
    )
    T_base_camera: tuple[float, ...] = parameter(
        (0.0, 0.0, 1.5, -0.5, 0.5, -0.5, 0.5),
        'Where the optical frame of the camera is on the vehicle: x, y, z [m], qx, qy, qz, qw.',
    )
    max_feature_age_s: float = parameter(
        0.2,
        'Features so much older than the image are refused.',
        unit='s',
        minimum=0.0,
        maximum=60.0,
    )
    fade_from_s: float = parameter(
        0.2,
        'From this age on features count less, down to nothing at max_feature_age_s; as that lets '
        'all count fully.',
        unit='s',
        minimum=0.0,
        maximum=60.0,
    )
    max_sender_distance_m: float = parameter(
        150.0, 'Cameras further away are not believed.', unit='m', minimum=0.0, maximum=1e5
    )
    min_coverage: float = parameter(
        0.01, 'Share of the voxels that a camera must see.', minimum=0.0, maximum=1.0
    )
    max_message_bytes: int = parameter(
        1 << 20, 'Larger messages are refused.', unit='byte', minimum=256, maximum=2**30
    )
    trusted_keys: str = parameter(
        '',
        'Folder of public keys, SENDER.pem: only their senders are heard. Empty hears anybody.',
    )
    link_timeout_s: float = parameter(
        1.0,
        'Without usable features for so long the node says that it is on its own.',
        unit='s',
        minimum=0.05,
        maximum=3600.0,
        changeable=True,
    )
    publish_markers: bool = parameter(
        True, 'Publish ~/markers while somebody subscribes.', changeable=True
    )
