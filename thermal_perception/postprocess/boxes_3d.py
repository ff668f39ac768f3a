"""Anchors, logits and codes to scored upright boxes in the vehicle's lidar frame."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from thermal_perception.models.boxes_3d import BOX_NUMBERS, decode_boxes, with_direction
from thermal_perception.models.rotated_boxes import rotated_nms
from thermal_perception.types import Boxes3D

if TYPE_CHECKING:
    from torch import Tensor

_SEEN_FROM_ABOVE = (0, 1, 3, 4, 6)  # x, y, l, w, yaw of a box


def upright_boxes(
    *,
    class_logits: Tensor,
    box_codes: Tensor,
    direction_logits: Tensor,
    anchors: Tensor,
    class_names: tuple[str, ...],
    stamp_ns: int = 0,
    frame_id: str = '',
    score_threshold: float = 0.1,
    candidates: int = 100,
    limit: int = 50,
    nms_iou: float = 0.01,
) -> Boxes3D:
    """Rank the anchors of one frame.

    Args:
        class_logits: (1, A C, ny, nx) of A anchors a cell, anchor by anchor.
        box_codes: (1, A 7, ny, nx), see `models.boxes_3d.encode_boxes`.
        direction_logits: (1, A 2, ny, nx), see `models.boxes_3d.direction_bin`.
        anchors: (ny, nx, A, 7) boxes.
        class_names: names of the C classes.
        stamp_ns: time the boxes hold for.
        frame_id: the lidar frame.
        score_threshold: 0..1, of boxes to keep.
        candidates: anchors that are decoded at most, best first.
        limit: how many boxes to keep at most.
        nms_iou: leave out a box that overlaps a better one of its class by more, from above.

    Returns:
        Boxes by descending score, those with a number that is not finite left out.
    """
    per_cell = anchors.shape[2]
    scores, labels = _cells(class_logits, per_cell).sigmoid().max(-1)  # [N] each
    scores = scores.nan_to_num(nan=-1.0)  # it would come first
    order = scores.argsort(descending=True, stable=True)[:candidates]
    order = order[scores[order] >= max(score_threshold, 0.0)]
    codes = _cells(box_codes, per_cell)[order]
    boxes = decode_boxes(codes, anchors.reshape(-1, BOX_NUMBERS).to(codes)[order])
    bins = _cells(direction_logits, per_cell)[order].argmax(-1)
    boxes = torch.cat((boxes[:, :6], with_direction(boxes[:, 6:], bins[:, None])), 1)
    finite = boxes.isfinite().all(1) & scores[order].isfinite()
    boxes, order = boxes[finite], order[finite]
    above = boxes[:, _SEEN_FROM_ABOVE]
    chosen = rotated_nms(above, scores[order], labels[order], iou=nms_iou)[:limit]
    order = order[chosen]
    x, y, z, length, width, height, yaw = boxes[chosen].double().cpu().numpy().T
    return Boxes3D(
        np.stack((x, y, z + height / 2), 1),
        np.stack((length, width, height), 1),
        yaw.copy(),
        scores[order].float().cpu().numpy(),
        labels[order].cpu().numpy(),
        class_names,
        order.new_full((len(order),), -1).cpu().numpy(),
        stamp_ns,
        frame_id,
    )


def merged_boxes(first: Boxes3D, second: Boxes3D, *, nms_iou: float = 0.01) -> Boxes3D:
    """Join what two saw of one moment (late fusion): of boxes that overlap, the best stays.

    Args:
        first: boxes.
        second: boxes of the same classes in the same frame.
        nms_iou: leave out a box that overlaps a better one of its class by more, from above.

    Returns:
        Boxes by descending score; stamp of the first, tracks of none.

    Raises:
        ValueError: if classes or frames differ.
    """
    both = first.joined(second)
    above = np.column_stack((both.centres_m[:, :2], both.sizes_m[:, :2], both.yaws_rad))
    numbers = (torch.from_numpy(x) for x in (above, both.scores, both.labels))
    chosen = both.select(rotated_nms(*numbers, iou=nms_iou).numpy())
    return replace(chosen, track_ids=np.full(len(chosen), -1))


def _cells(x: Tensor, per_cell: int) -> Tensor:
    """Turn (1, A k, ny, nx) into (ny nx A, k) float32, in the order of the anchors."""
    return x[0].detach().float().permute(1, 2, 0).reshape(-1, x.shape[1] // per_cell)
