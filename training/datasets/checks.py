"""Holding labels against the pixels they belong to."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from training.datasets.record import Problem

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.datasets.record import ProblemKind, Record

UNKNOWN_ID = 255
"""Class id of a label image's pixels without a verdict."""


def drop_impossible_boxes(record: Record, size: tuple[int, int]) -> tuple[Record, list[Problem]]:
    """Leave out objects without area and objects wholly outside the image.

    Args:
        record: labels of one image.
        size: (height, width) of the decoded image.
    """
    boxes = record.boxes_xyxy_px
    empty = ~((boxes[:, 2:] - boxes[:, :2]) > 0).all(1)
    outside = ~empty & ~_touches(boxes, size)
    problems = [_problem(record, b, 'box without area', size) for b in boxes[empty]]
    problems += [_problem(record, b, 'box outside the image', size) for b in boxes[outside]]
    if not problems:
        return record, []
    keep = ~(empty | outside)
    oriented = record.oriented_cxcywha
    kept = replace(
        record,
        boxes_xyxy_px=boxes[keep],
        labels=record.labels[keep],
        oriented_cxcywha=None if oriented is None else oriented[keep],
    )
    return kept, problems


def mask_problem(
    record: Record, mask: NDArray[np.uint8], size: tuple[int, int], classes: int
) -> Problem | None:
    """Return what is wrong with a label image of an image of `size`, None if nothing is."""
    assert record.mask is not None
    if mask.shape != size:
        detail = f'found {_text(mask.shape)}, expected {_text(size)} (w x h) like the image'
        return Problem(record.mask.path, 'mask of another size', detail)
    present = np.flatnonzero(np.bincount(mask.ravel(), minlength=256))
    unknown = present[(present >= classes) & (present != UNKNOWN_ID)]
    if len(unknown):
        ids = ', '.join(map(str, unknown))
        detail = f'found {ids}, expected 0..{classes - 1} or {UNKNOWN_ID}'
        return Problem(record.mask.path, 'mask with unknown ids', detail)
    return None


def reaching_out(record: Record, size: tuple[int, int]) -> int:
    """Return how many boxes reach more than a pixel over the border; training clips them."""
    limit = np.array([size[1], size[0]])
    boxes = record.boxes_xyxy_px
    return int(((boxes[:, :2] < -1) | (boxes[:, 2:] > limit + 1)).any(1).sum())


def _touches(boxes: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.bool_]:
    limit = np.array([size[1], size[0]])
    inside = (boxes[:, 2:] > 0) & (boxes[:, :2] < limit)
    return np.asarray(inside.all(1))


def _problem(
    record: Record, box: NDArray[np.float32], kind: ProblemKind, size: tuple[int, int]
) -> Problem:
    corners = ', '.join(f'{v:g}' for v in box)
    return Problem(record.path, kind, f'found corners {corners} in an image of {_text(size)}')


def _text(size: tuple[int, ...]) -> str:
    return f'{size[1]} x {size[0]}'
