"""Upright boxes: their corners, and the same boxes in another frame."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from thermal_perception.geometry.transforms import as_transform, transform_points

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from thermal_perception.types import Boxes3D

_AROUND = ((1, 1), (1, -1), (-1, -1), (-1, 1))  # front left, front right, rear right, rear left
_CORNERS = np.array([(x, y, z) for z in (-1, 1) for x, y in _AROUND]) / 2


def boxes_in(T_target_source: ArrayLike, boxes: Boxes3D, frame_id: str) -> Boxes3D:
    """Express upright boxes in another frame; they stay upright there.

    Args:
        T_target_source: (4, 4); where it tilts, headings are those of the boxes' turned x axes,
            seen from above.
        boxes: in the source frame.
        frame_id: of the target frame.
    """
    T = as_transform(T_target_source)
    ahead = np.stack(
        (np.cos(boxes.yaws_rad), np.sin(boxes.yaws_rad), np.zeros(len(boxes))), axis=1
    )
    turned = ahead @ T[:3, :3].T
    return replace(
        boxes,
        centres_m=transform_points(T, boxes.centres_m),
        yaws_rad=np.arctan2(turned[:, 1], turned[:, 0]),
        frame_id=frame_id,
    )


def corners_3d(boxes: Boxes3D) -> NDArray[np.float64]:
    """Return the corners of upright boxes.

    Returns:
        (N, 8, 3) float64 metres in the frame of the boxes: front left, front right, rear right,
        rear left, these four below and then above, as DAIR-V2X orders `world_8_points`.
    """
    local = _CORNERS * boxes.sizes_m[:, None]  # [N, 8, 3]
    c, s = np.cos(boxes.yaws_rad)[:, None], np.sin(boxes.yaws_rad)[:, None]
    x, y, z = local[..., 0], local[..., 1], local[..., 2]
    return np.stack((c * x - s * y, s * x + c * y, z), axis=-1) + boxes.centres_m[:, None]
