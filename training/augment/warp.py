"""One affine map moves everything of a sample: images, boxes, oriented boxes, masks, flow.

Images, boxes and masks may be bent after it. Pixel coordinates are those of areas: the first
pixel spans 0..1.
"""

from __future__ import annotations

from typing import Any, TYPE_CHECKING

import cv2
import numpy as np

from training.datasets.oriented import box_of_corners, corners_of_boxes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.augment.bend import Bend

UNKNOWN = 255
"""Class id of mask pixels that nothing is known about."""

_CORNERS = np.array(((0, 1), (2, 1), (2, 3), (0, 3)))  # columns of a box's corners


def warp_image(
    image: NDArray[np.float32],
    matrix: NDArray[np.float64],
    size: tuple[int, int],
    bend: Bend | None = None,
) -> NDArray[np.float32]:
    """Resample (H, W) or (H, W, C) by an affine map to `size` (height, width), black outside.

    Where the map shrinks, the image is blurred first, so that no detail aliases.
    """
    shrink = float(np.linalg.norm(matrix[:, :2], axis=0).min())
    if shrink < 0.9:
        blurred = cv2.GaussianBlur(image, (0, 0), 0.5 * np.sqrt(1 / shrink**2 - 1))
        image = np.asarray(blurred, np.float32)
    warped = _resampled(image, matrix, size, bend, flags=cv2.INTER_LINEAR, outside=0)
    return np.asarray(warped, np.float32)


def warp_boxes(
    boxes_xyxy_px: NDArray[np.float32],
    matrix: NDArray[np.float64],
    size: tuple[int, int],
    bend: Bend | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Move (N, 4) boxes to the upright hulls of what they become, clipped to `size`.

    Returns:
        (N, 4) clipped boxes and (N,) the share of each that is left.
    """
    corners = boxes_xyxy_px[:, _CORNERS] @ matrix[:, :2].T + matrix[:, 2]  # [boxes, 4, 2]
    clipped, visible = _clipped(_hulls(corners), size)
    if bend is not None:  # of what lies in the sample, all that a bend is made for
        bent = bend.forward(clipped[:, _CORNERS].reshape(-1, 2)).reshape(-1, 4, 2)
        clipped, still = _clipped(_hulls(bent), size)
        visible = visible * still
    return clipped.astype(np.float32), visible.astype(np.float32)


def warp_mask(
    mask: NDArray[Any],
    matrix: NDArray[np.float64],
    size: tuple[int, int],
    bend: Bend | None = None,
) -> NDArray[Any]:
    """Resample (H, W) class ids; what lies outside of the source is unknown."""
    return _resampled(mask, matrix, size, bend, flags=cv2.INTER_NEAREST, outside=UNKNOWN)


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


def _resampled(
    image: NDArray[Any],
    matrix: NDArray[np.float64],
    size: tuple[int, int],
    bend: Bend | None,
    *,
    flags: int,
    outside: int,
) -> NDArray[Any]:
    border: Any = {'borderMode': cv2.BORDER_CONSTANT, 'borderValue': outside}
    if bend is None:
        return cv2.warpAffine(image, _cv_matrix(matrix), size[::-1], flags=flags, **border)
    x, y = np.meshgrid(np.arange(size[1]) + 0.5, np.arange(size[0]) + 0.5)
    plain = bend.back(np.stack((x.ravel(), y.ravel()), axis=1))
    source = (plain - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T - 0.5  # OpenCV's centres
    places = source.astype(np.float32).reshape(*size, 2)
    return cv2.remap(image, places[..., 0], places[..., 1], flags, **border)


def _hulls(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the upright boxes (N, 4) around points (N, P, 2)."""
    return np.concatenate((corners.min(1), corners.max(1)), 1)


def _clipped(
    boxes: NDArray[np.float64], size: tuple[int, int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return boxes (N, 4) within `size`, and the share of each that is left."""
    clipped = boxes.clip(0, (size[1], size[0], size[1], size[0]))
    return clipped, _area(clipped) / np.maximum(_area(boxes), 1e-6)


def _cv_matrix(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """OpenCV puts the centre of the first pixel at 0, we put it at 0.5."""
    shift = matrix[:, :2] @ [0.5, 0.5] - 0.5
    return matrix + np.column_stack((np.zeros((2, 2)), shift))


def _area(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
