"""One affine map moves everything of a sample: images, boxes, oriented boxes, masks, flow.

Pixel coordinates are those of areas: the first pixel spans 0..1.
"""

from __future__ import annotations

from typing import Any, TYPE_CHECKING

import cv2
import numpy as np

from training.datasets.oriented import box_of_corners, corners_of_boxes

if TYPE_CHECKING:
    from numpy.typing import NDArray

UNKNOWN = 255
"""Class id of mask pixels that nothing is known about."""


def warp_image(
    image: NDArray[np.float32], matrix: NDArray[np.float64], size: tuple[int, int]
) -> NDArray[np.float32]:
    """Resample (H, W) or (H, W, C) by an affine map to `size` (height, width).

    Where the map shrinks, the image is blurred first, so that no detail aliases.
    """
    shrink = float(np.linalg.norm(matrix[:, :2], axis=0).min())
    if shrink < 0.9:
        blurred = cv2.GaussianBlur(image, (0, 0), 0.5 * np.sqrt(1 / shrink**2 - 1))
        image = np.asarray(blurred, np.float32)
    warped = cv2.warpAffine(image, _cv_matrix(matrix), size[::-1], flags=cv2.INTER_LINEAR)
    return np.asarray(warped, np.float32)


def warp_boxes(
    boxes_xyxy_px: NDArray[np.float32],
    matrix: NDArray[np.float64],
    size: tuple[int, int],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Move (N, 4) boxes by an axis-aligned affine map and clip them to `size`.

    Returns:
        (N, 4) clipped boxes and (N,) the share of each that is left.
    """
    corners = boxes_xyxy_px.reshape(-1, 2, 2) @ matrix[:, :2].T + matrix[:, 2]
    moved = np.concatenate((corners.min(1), corners.max(1)), 1)
    clipped = moved.clip(0, (size[1], size[0], size[1], size[0]))
    return clipped.astype(np.float32), (_area(clipped) / np.maximum(_area(moved), 1e-6)).astype(
        np.float32
    )


def warp_mask(
    mask: NDArray[Any], matrix: NDArray[np.float64], size: tuple[int, int]
) -> NDArray[Any]:
    """Resample (H, W) class ids; what lies outside of the source is unknown."""
    return cv2.warpAffine(
        mask,
        _cv_matrix(matrix),
        size[::-1],
        flags=cv2.INTER_NEAREST,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=UNKNOWN,
    )


def warp_flow(
    flow_px: NDArray[np.float32], matrix: NDArray[np.float64], size: tuple[int, int]
) -> NDArray[np.float32]:
    """Move a field (H, W, 2) of displacements x, y: where they are and how far they point."""
    moved = warp_image(flow_px, matrix, size)
    return (moved @ matrix[:, :2].T).astype(np.float32)


def warp_oriented(
    boxes_cxcywha: NDArray[np.float32], matrix: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Move (N, 5) oriented boxes, see `Record.oriented_cxcywha`; they are not clipped."""
    corners = corners_of_boxes(boxes_cxcywha) @ matrix[:, :2].T + matrix[:, 2]
    moved = [box_of_corners(c.ravel()) for c in corners]
    return np.array(moved, np.float32).reshape(-1, 5)


def _cv_matrix(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """OpenCV puts the centre of the first pixel at 0, we put it at 0.5."""
    shift = matrix[:, :2] @ [0.5, 0.5] - 0.5
    return matrix + np.column_stack((np.zeros((2, 2)), shift))


def _area(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
