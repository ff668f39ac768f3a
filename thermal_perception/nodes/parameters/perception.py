"""Parameters that all nodes with a model, and those with a thermal camera, have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from thermal_perception.decode import THERMAL_UNITS, thermal_units, ThermalUnits
from thermal_perception.nodes.parameters.backend import BackendParameters
from thermal_perception.nodes.parameters.camera import CameraParameters
from thermal_perception.nodes.parameters.parameter_set import parameter

_CUSTOM_UNITS = 'custom'


@dataclass(frozen=True)
class ModelParameters(BackendParameters):
    """Parameters of every node with a model."""

    model: str = parameter(
        'fusion_detr_lite', 'Model whose shipped weights are used while `checkpoint` is empty.'
    )
    checkpoint: str = parameter(
        '',
        'Weights file (.safetensors); empty takes the shipped ones. A change takes effect with '
        '~/reload_model or the next configure.',
        changeable=True,
    )
    fallback_to_cpu: bool = parameter(
        True, 'Go on on the CPU, once, when the device is missing, out of memory or lost.'
    )
    num_threads: int = parameter(
        0, 'CPU threads of the network; 0 leaves the choice to PyTorch.', minimum=0, maximum=256
    )
    warm_up_size: tuple[int, ...] = parameter(
        (512, 640),
        'Height and width of a black image the network runs on once at start, so that the first '
        'live frame does not wait; [0, 0] does without.',
        unit='px',
    )
    max_detections: int = parameter(
        100, 'Boxes per frame at most, best score first.', minimum=1, maximum=1000
    )
    score_threshold: float = parameter(
        -1.0,
        'Boxes with a lower score are not published; -1 takes the threshold stored with the '
        'weights, 0 publishes all.',
        minimum=-1.0,
        maximum=1.0,
        changeable=True,
    )


@dataclass(frozen=True)
class PerceptionParameters(ModelParameters, CameraParameters):
    """Model, thermal camera, queue, faults and common outputs."""

    image_transport: str = parameter(
        'raw',
        'raw subscribes to thermal/image_raw, compressed to the resolved name + /compressed '
        '(JPEG or PNG; 16-bit images only as PNG).',
        choices=('raw', 'compressed'),
    )
    thermal_units: str = parameter(
        'counts',
        'What the numbers of the image mean; custom takes thermal_unit, thermal_scale, '
        'thermal_offset and thermal_valid_bits.',
        choices=(*THERMAL_UNITS, _CUSTOM_UNITS),
    )
    thermal_unit: str = parameter(
        'counts',
        'Unit of value = image * thermal_scale + thermal_offset (custom units).',
        choices=('counts', 'kelvin', 'celsius'),
    )
    thermal_scale: float = parameter(
        1.0, 'Unit per count, for example 0.01 for centikelvin (custom units).'
    )
    thermal_offset: float = parameter(0.0, 'Value at zero counts (custom units).')
    thermal_valid_bits: int = parameter(
        0,
        'Significant bits of the counts, for example 14; 0 if unknown (custom units).',
        minimum=0,
        maximum=16,
    )
    queue: str = parameter(
        'newest',
        'newest: while the network is busy only the newest image waits. all: images wait in '
        'order, up to queue_capacity, for replays in which every frame counts.',
        choices=('newest', 'all'),
    )
    queue_capacity: int = parameter(
        256, 'Images that may wait with queue: all.', minimum=1, maximum=10_000
    )
    publish_overlay: bool = parameter(
        True, 'Publish ~/overlay and ~/camera_info while somebody subscribes.', changeable=True
    )


def units_of(values: PerceptionParameters) -> ThermalUnits:
    """Return what the numbers of the thermal image mean.

    Raises:
        ConfigError: if the custom scale is zero or not finite.
    """
    if values.thermal_units != _CUSTOM_UNITS:
        return thermal_units(values.thermal_units)
    unit: Any = values.thermal_unit
    return ThermalUnits(
        unit, values.thermal_scale, values.thermal_offset, values.thermal_valid_bits or None
    )
