"""Which anchors are to find which objects.

Source: the anchor head of SECOND (Yan et al., Sensors 2018) as EMIFF uses it.
"""

from __future__ import annotations

from typing import NamedTuple, TYPE_CHECKING

import torch

from thermal_perception.models.boxes import pairwise_iou
from thermal_perception.models.boxes_3d import nearest_upright

if TYPE_CHECKING:
    from torch import Tensor

    from thermal_perception.models.emiff.config import EmiffConfig

NOTHING, IGNORED = -1, -2


class Target3D(NamedTuple):
    """The objects of one frame.

    Attributes:
        boxes: (M, 7) float32, see `models.boxes_3d`.
        labels: (M,) int64 classes.
    """

    boxes: Tensor
    labels: Tensor


def assign(anchors: Tensor, target: Target3D, config: EmiffConfig) -> Tensor:
    """Give every anchor the object that it is to find.

    Overlaps are those of boxes seen from above, turned to the nearer axis. An anchor cares for
    objects of its class alone; of several kinds those of the right size find an object.

    Args:
        anchors: (ny, nx, A, 7), the anchors of a kind beside each other.
        target: the objects.
        config: has the overlaps.

    Returns:
        (ny nx A,) int64: index of the object, `NOTHING` or `IGNORED`.
    """
    result = torch.full(anchors.shape[:3], NOTHING, device=anchors.device)
    uprights = nearest_upright(anchors)  # [ny, nx, A, 4]
    objects = nearest_upright(target.boxes)
    for kind, (label, rules) in enumerate(zip(config.anchor_labels, config.anchors)):
        mine = slice(kind * config.directions, (kind + 1) * config.directions)
        wanted = (target.labels == label).nonzero()[:, 0]
        if not len(wanted):
            continue
        overlaps = pairwise_iou(uprights[:, :, mine].reshape(-1, 4), objects[wanted])
        best, which = overlaps.max(1)
        found = torch.full_like(which, IGNORED)
        found[best < rules.negative_iou] = NOTHING
        found = torch.where(best >= rules.positive_iou, wanted[which], found)
        # Each object has its best anchors, if they are good enough; the last one to ask wins.
        most = overlaps.max(0).values
        for index in range(len(wanted)):
            if most[index] >= rules.least_iou:
                found[overlaps[:, index] == most[index]] = wanted[index]
        result[:, :, mine] = found.view(*anchors.shape[:2], -1)
    return result.flatten()
