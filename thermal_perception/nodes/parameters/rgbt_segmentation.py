"""Parameters of the node `rgbt_segmentation`."""

from __future__ import annotations

from dataclasses import dataclass

from thermal_perception.nodes.parameters.pair import PairParameters
from thermal_perception.nodes.parameters.parameter_set import parameter


@dataclass(frozen=True)
class RgbtSegmentationParameters(PairParameters):
    """Parameters of the node `rgbt_segmentation`; `ros2 param describe` prints them."""

    model: str = parameter(
        'rgbt_lite', 'Model whose shipped weights are used while `checkpoint` is empty.'
    )
    warm_up_size: tuple[int, ...] = parameter(
        (480, 640),
        'Height and width of the black images the network runs on once at start, so that the '
        'first live frame does not wait; [0, 0] does without.',
        unit='px',
    )
    publish_detections: bool = parameter(
        True,
        'Publish ~/detections while somebody subscribes: a box round every connected region of a '
        'class that can be counted.',
        changeable=True,
    )
    min_area_px: int = parameter(
        30,
        'Connected regions of fewer pixels get no box; the label image shows them all the same.',
        unit='px',
        minimum=1,
        maximum=2**30,
    )
