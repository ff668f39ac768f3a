"""What the commands know of the nodes with a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from thermal_perception.errors import CheckpointError

if TYPE_CHECKING:
    from pathlib import Path

    from thermal_perception.models.record import CheckpointInfo

DETECTIONS = ('detections', 'vision_msgs/msg/Detection2DArray')
BOXES_3D = ('detections_3d', 'vision_msgs/msg/Detection3DArray')
LABELS = ('segmentation', 'sensor_msgs/msg/Image')


@dataclass(frozen=True)
class NodeKind:
    """A node with a model.

    Attributes:
        name: as `run` knows it, which is that of the architecture it runs.
        cameras: what it looks at, leading one first.
        pictures: its topics of colour images.
        answer: the output that answers every image: topic below the node, and type.
        source: the simulator's node that can take something away from it.
    """

    name: str
    cameras: tuple[str, ...]
    pictures: tuple[str, ...]
    answer: tuple[str, str] = DETECTIONS
    source: str = 'simulated_cameras'

    @property
    def labels_pixels(self) -> bool:
        """True if it answers with label images, not with boxes."""
        return self.answer == LABELS


NODE_KINDS = {
    kind.name: kind
    for kind in (
        NodeKind('fusion_detr', ('thermal',), ('overlay',)),
        NodeKind('e2e_mfd', ('thermal', 'rgb'), ('overlay', 'fused_image')),
        NodeKind('rgbt_segmentation', ('thermal', 'rgb'), ('overlay',), LABELS),
    )
}

EMIFF = NodeKind('emiff_vehicle', ('rgb',), (), BOXES_3D, 'simulated_link')
"""One of two nodes that run one model: no command but `demo` takes it for a node with a model."""


def node_kind(record: CheckpointInfo, path: Path) -> NodeKind:
    """Return the node that runs the weights at `path`.

    Raises:
        CheckpointError: if there is none.
    """
    kind = NODE_KINDS.get(record.architecture)
    if kind is None:
        raise CheckpointError(
            f'{path}: found a model of {record.architecture}, expected one of '
            f'{", ".join(NODE_KINDS)}'
        )
    return kind
