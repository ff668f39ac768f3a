"""Outlines of objects in images, and how far away they are: what maps are shown directly.

From boxes in space alone, images are learned slowly: a map must tell vehicles from streets before
a voxel can tell where two views, or the heights of one, agree. So the first channel of a map is
asked for the outlines of the boxes, as a logit; voxels then see it like all others. And where the
network weighs the voxels of a ray, those within an object are to count, those before and behind it
are not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from thermal_perception.geometry import transform_points
from thermal_perception.models.emiff.network import STRIDES
from thermal_perception.models.emiff.rays import bin_centres_m

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

_NEAREST_M = 0.5  # corners that are closer to the camera's plane are left out
_BLUR = 0.93  # distances are told to a bin: an object reaches this much nearer and farther
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
        (3, h, w) float32: share of each cell of the finest map that is within an outline; where
        the nearest object in the middle of it begins and ends, metres from the camera's plane, 0
        where there is none.
    """
    mask = np.zeros(size, np.uint8)
    reach = np.zeros((*size, 2), np.float32)
    seen_by_depth = sorted(
        (transform_points(T_camera_lidar, corners) for corners in corners_lidar),
        key=lambda camera: -float(camera[:, 2].mean()),
    )
    for camera in seen_by_depth:  # nearer ones last, over those behind them
        seen = camera[camera[:, 2] > _NEAREST_M]
        if len(seen) > 2:
            pixels = seen @ K.T
            limits = 4.0 * np.array((size[1], size[0]))  # OpenCV counts in 32 bits
            xy = (pixels[:, :2] / pixels[:, 2:]).clip(-limits, limits)
            hull = cv2.convexHull(np.round(xy).astype(np.int32))
            cv2.fillConvexPoly(mask, hull, 1)
            cv2.fillConvexPoly(reach, hull, (float(seen[:, 2].min()), float(seen[:, 2].max())))
    stride = STRIDES[0]
    cells = mask.reshape(size[0] // stride, stride, size[1] // stride, stride)
    middle = reach[stride // 2 :: stride, stride // 2 :: stride]
    return torch.from_numpy(
        np.stack((cells.mean((1, 3), dtype=np.float32), *middle.transpose(2, 0, 1)))
    )


def outline_loss(maps: Tensor, outlines: Tensor) -> Tensor:
    """Return the cross entropy of the first channel of (B, C, h, w) with that of (B, 3, h, w)."""
    return F.binary_cross_entropy_with_logits(maps[:, :1].float() + _RARE, outlines[:, :1])


def ray_loss(rays: Tensor, outlines: Tensor) -> Tensor:
    """Return the cross entropy of weights along rays with where objects are; 0 without objects.

    Args:
        rays: (B, bins, h, w) logits, see `models.emiff.rays`.
        outlines: (B, 3, h, w), see `draw_outlines`. Rays that show no object are not judged.
    """
    centres = rays.new_tensor(bin_centres_m(rays.shape[1]), dtype=torch.float32)
    begin, end = (outlines[:, i : i + 1].float() for i in (1, 2))
    wanted = (centres[:, None, None] > begin * _BLUR) & (centres[:, None, None] < end / _BLUR)
    shown = (end > 0).expand_as(wanted)
    wrong = F.binary_cross_entropy_with_logits(rays.float(), wanted.float(), reduction='none')
    return (wrong * shown).sum() / shown.sum().clamp(min=1)
