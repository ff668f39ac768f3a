"""Objects in a label map: connected regions of countable classes."""

from __future__ import annotations

from typing import NamedTuple, TYPE_CHECKING

import cv2
import numpy as np

from thermal_perception.types import Detections

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from thermal_perception.types import SegmentationMask

MIN_AREA_PX = 30
"""Smaller regions are taken for noise."""


class _Region(NamedTuple):
    box_xyxy_px: tuple[int, int, int, int]
    score: float
    label: int


def find_components(
    mask: SegmentationMask,
    shares: NDArray[np.float32],
    countable: Iterable[int],
    *,
    min_area_px: int = MIN_AREA_PX,
    limit: int = 100,
) -> Detections:
    """Return the box of every connected region of a countable class.

    Objects of one class that touch each other in the image are one region.

    Args:
        mask: the label map.
        shares: (K, h, w) probability of each class, coarser than the label map or not.
        countable: labels whose regions are objects.
        min_area_px: pixels of a region at least; pixels that touch at a corner are connected.
        limit: how many to keep at most.

    Returns:
        Boxes round the regions, best first. A score is the mean probability of the class.
    """
    found = [
        region
        for label in countable
        for region in _regions(mask.labels == label, shares[label], label, min_area_px)
    ]
    best = sorted(found, key=lambda region: (-region.score, region.box_xyxy_px))[:limit]
    return Detections(
        np.array([r.box_xyxy_px for r in best], np.float32).reshape(-1, 4),
        np.array([r.score for r in best], np.float32),
        np.array([r.label for r in best], np.int64),
        mask.class_names,
        mask.stamp_ns,
        mask.frame_id,
        (mask.labels.shape[0], mask.labels.shape[1]),
    )


def _regions(
    member: NDArray[np.bool_], share: NDArray[np.float32], label: int, min_area_px: int
) -> Iterator[_Region]:
    if not member.any():
        return
    _, numbers, rows, _ = cv2.connectedComponentsWithStats(member.view(np.uint8), connectivity=8)
    for number, (x, y, width, height, area) in enumerate(rows.tolist()):
        if number == 0 or area < min_area_px:  # 0 is all that is no member
            continue
        window = np.asarray(numbers[y : y + height, x : x + width]) == number
        at_y, at_x = np.nonzero(window)
        score = _at(share, at_y + y, at_x + x, member.shape).mean()
        yield _Region((x, y, x + width, y + height), float(score), label)


def _at(
    share: NDArray[np.float32],
    y: NDArray[np.int64],
    x: NDArray[np.int64],
    size: tuple[int, ...],
) -> NDArray[np.float32]:
    """Return a coarse map's values at pixels of an image of `size`."""
    return share[y * share.shape[0] // size[0], x * share.shape[1] // size[1]]
