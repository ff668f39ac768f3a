"""Boxes at any angle: from four corners to centre, sides and angle, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def box_of_corners(corners_xy: Sequence[float]) -> NDArray[np.float32]:
    """Return the smallest rectangle around four corners.

    Args:
        corners_xy: x1, y1 .. x4, y4 in pixels.

    Returns:
        (5,) centre x, y, long side, short side, angle of the long side from the x axis towards y
        in -pi/2..pi/2 (the `le90` convention of oriented detectors).
    """
    points = np.asarray(corners_xy, np.float32).reshape(4, 2)
    (x, y), (width, height), degrees = cv2.minAreaRect(points)
    if width < height:
        width, height, degrees = height, width, degrees + 90
    angle = np.deg2rad((degrees + 90) % 180 - 90)
    return np.array([x, y, width, height, angle], np.float32)


def corners_of_boxes(boxes_cxcywha: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the corners of oriented boxes.

    Args:
        boxes_cxcywha: (N, 5) as in `Record.oriented_cxcywha`.

    Returns:
        (N, 4, 2) corners x, y in turning order, pixels.
    """
    centre, sides, angle = boxes_cxcywha[:, None, :2], boxes_cxcywha[:, 2:4], boxes_cxcywha[:, 4]
    along = np.stack((np.cos(angle), np.sin(angle)), -1) * sides[:, :1] / 2
    across = np.stack((-np.sin(angle), np.cos(angle)), -1) * sides[:, 1:] / 2
    offsets = np.stack((-along - across, along - across, along + across, across - along), 1)
    return (centre + offsets).astype(np.float32)
