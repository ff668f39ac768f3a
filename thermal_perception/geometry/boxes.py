"""Upright boxes in another frame."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from thermal_perception.geometry.transforms import as_transform, transform_points

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from thermal_perception.types import Boxes3D


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
