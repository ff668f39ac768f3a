"""Outlines of objects in images: what the maps that are lifted are shown directly.

From boxes in space alone, images are learned slowly: a map must tell vehicles from streets before
a voxel can tell where two views, or the heights of one, agree. So the first channel of a map is
asked for the outlines of the boxes, as a logit; voxels then see it like all others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from thermal_perception.geometry import transform_points
from thermal_perception.models.emiff.network import STRIDES

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

_NEAREST_M = 0.5  # corners that are closer to the camera's plane are left out
_RARE = -3.0  # logit of a map that says nothing: few cells show an object


def draw_outlines(
    corners_lidar: NDArray[np.float64],
    T_camera_lidar: NDArray[np.float64],
    K: NDArray[np.float64],
    size: tuple[int, int],
) -> Tensor:
    """Draw the outlines of boxes.

    Args:
        corners_lidar: (N, 8, 3) metres.
        T_camera_lidar: (4, 4) lidar to the camera.
        K: (3, 3) intrinsics, pixels; fx may be negative, as that of a mirrored image.
        size: (height, width) of the image, pixels, multiples of the map's stride.

    Returns:
        (1, h, w) float32: share of each cell of the finest map that is within an outline.
    """
    mask = np.zeros(size, np.uint8)
    for corners in corners_lidar:
        camera = transform_points(T_camera_lidar, corners)
        seen = camera[camera[:, 2] > _NEAREST_M]
        if len(seen) > 2:
            pixels = seen @ K.T
            limits = 4.0 * np.array((size[1], size[0]))  # OpenCV counts in 32 bits
            xy = (pixels[:, :2] / pixels[:, 2:]).clip(-limits, limits)
            cv2.fillConvexPoly(mask, cv2.convexHull(np.round(xy).astype(np.int32)), 1)
    stride = STRIDES[0]
    cells = mask.reshape(size[0] // stride, stride, size[1] // stride, stride)
    return torch.from_numpy(cells.mean((1, 3), dtype=np.float32))[None]


def outline_loss(maps: Tensor, outlines: Tensor) -> Tensor:
    """Return the cross entropy of the first channel of (B, C, h, w) with (B, 1, h, w)."""
    return F.binary_cross_entropy_with_logits(maps[:, :1].float() + _RARE, outlines)
