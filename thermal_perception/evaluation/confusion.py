"""Which class was taken for which: boxes matched to objects whatever their class."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from thermal_perception.evaluation.matching import box_iou

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thermal_perception.types import Detections


def confusion_matrix(
    found: Detections,
    truth: Detections,
    *,
    regions_xyxy_px: NDArray[np.floating] | None = None,
    iou: float = 0.5,
) -> NDArray[np.int64]:
    """Count what became of the objects and boxes of an image; add the matrices of a data set.

    Pairs are made by overlap, the greatest first, each object and each box once.

    Args:
        found: boxes above the score threshold in use.
        truth: objects, with the same class names.
        regions_xyxy_px: (M, 4) regions without a verdict; a box without an object that lies by
            more than half in one of them is not counted.
        iou: least intersection over union of a pair.

    Returns:
        (K + 1, K + 1) counts: rows are classes of objects, columns classes of boxes; the last row
        counts boxes without an object, the last column objects without a box.
    """
    classes = len(truth.class_names)
    matrix = np.zeros((classes + 1, classes + 1), np.int64)
    overlaps = box_iou(truth.boxes_xyxy_px, found.boxes_xyxy_px)
    objects, boxes = np.ones(len(truth), np.bool_), np.ones(len(found), np.bool_)
    rows, columns = np.nonzero(overlaps >= iou)
    for place in np.argsort(-overlaps[rows, columns], kind='stable'):
        row, column = rows[place], columns[place]
        if objects[row] and boxes[column]:
            objects[row] = boxes[column] = False
            matrix[truth.labels[row], found.labels[column]] += 1
    if regions_xyxy_px is not None and len(regions_xyxy_px):
        boxes &= ~_inside(found.boxes_xyxy_px, regions_xyxy_px)
    matrix[:-1, -1] += np.bincount(truth.labels[objects], minlength=classes)
    matrix[-1, :-1] += np.bincount(found.labels[boxes], minlength=classes)
    return matrix


def _inside(
    boxes: NDArray[np.floating], regions: NDArray[np.floating]
) -> NDArray[np.bool_]:
    """Return (N,) whether more than half of a box lies in one region."""
    ends = np.minimum(boxes[:, None, 2:], regions[:, 2:])
    shared = np.clip(ends - np.maximum(boxes[:, None, :2], regions[:, :2]), 0, None).prod(2)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    inside: NDArray[np.bool_] = shared.max(1, initial=0) > 0.5 * area
    return inside
