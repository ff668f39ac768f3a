"""What a frame really shows, read from the same image of primitive numbers as its pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from thermal_perception.simulation.actors import CLASS_NAMES
from thermal_perception.simulation.raster import SHIFT
from thermal_perception.types import Boxes3D, Detections, SegmentationMask

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thermal_perception.simulation.bank import PrimitiveBank
    from thermal_perception.simulation.raster import Projected, View
    from thermal_perception.simulation.scene import Poses

SILHOUETTE_PX = 160  # longer side of the picture in which a hidden outline is measured


@dataclass(frozen=True, eq=False)
class Truth:
    """Ground truth of one frame.

    Attributes:
        detections: boxes round the visible part of each object; scores are 1.
        visibility: (N,) float32, visible share of each object's own outline; what other things
            hide and what lies outside the picture counts as not visible.
        track_ids: (N,) int64, the same object keeps its number.
        boxes_3d: (N) boxes in the base frame, in the order of `detections`.
        segmentation: semantic labels, None unless asked for.
    """

    detections: Detections
    visibility: NDArray[np.float32]
    track_ids: NDArray[np.int64]
    boxes_3d: Boxes3D
    segmentation: SegmentationMask | None


@dataclass(frozen=True, eq=False)
class Visible:
    """Objects with at least one visible pixel.

    Attributes:
        actors: (N,) int64.
        boxes_xyxy_px: (N, 4) float32.
        visibility: (N,) float32.
    """

    actors: NDArray[np.int64]
    boxes_xyxy_px: NDArray[np.float32]
    visibility: NDArray[np.float32]


def find_visible(
    projected: Projected,
    numbers: NDArray[np.int32],
    bank: PrimitiveBank,
    view: View,
    scale: int,
) -> Visible:
    """Measure every object of a class in the image of numbers."""
    actors, boxes, shares = [], [], []
    for actor, first, last in _runs(projected, bank):
        low, high = _outline_box(projected, first, last)
        window = _window(low, high, numbers.shape, scale)
        if window is None:
            continue
        x0, y0, x1, y1 = window
        part = numbers[y0:y1, x0:x1]
        own = ((part > first) & (part <= last)).view(np.uint8)
        seen = int(cv2.countNonZero(own))
        if not seen:
            continue
        x, y, w, h = cv2.boundingRect(own)
        actors.append(actor)
        boxes.append((x0 + x, y0 + y, x0 + x + w, y0 + y + h))
        inside = x0 > 0 and y0 > 0 and x1 < numbers.shape[1] and y1 < numbers.shape[0]
        alone = inside and not (part > last).any()
        whole = seen if alone else _silhouette_px(projected, first, last, low, high, scale)
        shares.append(min(1.0, seen / max(whole, 1)))
    return Visible(
        np.array(actors, np.int64),
        np.array(boxes, np.float32).reshape(-1, 4) / scale,
        np.array(shares, np.float32),
    )


def _runs(projected: Projected, bank: PrimitiveBank) -> list[tuple[int, int, int]]:
    """(actor, first, last) of each classed object; its numbers are first + 1 .. last."""
    owners = projected.owners[projected.on_ground :]
    if not len(owners):
        return []
    starts = np.flatnonzero(np.r_[True, owners[1:] != owners[:-1]])
    ends = np.r_[starts[1:], len(owners)]
    return [
        (int(owners[a]), int(a) + projected.on_ground, int(b) + projected.on_ground)
        for a, b in zip(starts, ends)
        if bank.labels[owners[a]] >= 0
    ]


def _outline_box(
    projected: Projected, first: int, last: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    points = np.concatenate(projected.corners[first:last])
    return points.min(0), points.max(0)


def _window(
    low: NDArray[np.float32], high: NDArray[np.float32], shape: tuple[int, int], scale: int
) -> tuple[int, int, int, int] | None:
    """Pixels of the fine image that the outline may touch, or None."""
    x0, y0 = np.floor((low + 0.5) * scale - 1.5).astype(int)
    x1, y1 = np.ceil((high + 0.5) * scale + 1.5).astype(int)
    x0, y0, x1, y1 = max(x0, 0), max(y0, 0), min(x1, shape[1]), min(y1, shape[0])
    return (x0, y0, x1, y1) if x1 > x0 and y1 > y0 else None


def _silhouette_px(
    projected: Projected,
    first: int,
    last: int,
    low: NDArray[np.float32],
    high: NDArray[np.float32],
    scale: int,
) -> float:
    """Fine pixels the whole object would cover, alone in an endless picture."""
    extent = float((high - low).max()) * scale
    shrink = min(1.0, SILHOUETTE_PX / max(extent, 1.0))
    factor = scale * shrink
    size = np.ceil((high - low) * factor).astype(int) + 4
    canvas = np.zeros((size[1], size[0]), np.uint8)
    for corners in projected.corners[first:last]:
        at = (corners - low + 0.5) * factor + 1.0
        fixed = np.rint(at * (1 << SHIFT)).astype(np.int32)
        cv2.fillConvexPoly(canvas, fixed, 1, cv2.LINE_8, SHIFT)
    return cv2.countNonZero(canvas) / shrink**2


def boxes_3d(
    visible: Visible,
    bank: PrimitiveBank,
    poses: Poses,
    T_world_base: NDArray[np.float64],
    *,
    stamp_ns: int,
    frame_id: str,
) -> Boxes3D:
    """Upright boxes of the visible objects in the base frame."""
    who = visible.actors
    middle = 0.5 * (bank.low + bank.high)[who]
    c, s = np.cos(poses.yaw[who]), np.sin(poses.yaw[who])
    turned = np.stack(
        [c * middle[:, 0] - s * middle[:, 1], s * middle[:, 0] + c * middle[:, 1], middle[:, 2]], 1
    )
    world = poses.xyz[who] + turned
    R, t = T_world_base[:3, :3], T_world_base[:3, 3]
    yaw = poses.yaw[who] - np.arctan2(R[1, 0], R[0, 0])
    return Boxes3D(
        centres_m=(world - t) @ R,
        sizes_m=(bank.high - bank.low)[who],
        yaws_rad=np.arctan2(np.sin(yaw), np.cos(yaw)),
        scores=np.ones(len(who), np.float32),
        labels=bank.labels[who],
        class_names=CLASS_NAMES,
        track_ids=who,
        stamp_ns=stamp_ns,
        frame_id=frame_id,
    )


def detections(
    visible: Visible, bank: PrimitiveBank, view: View, *, stamp_ns: int, frame_id: str
) -> Detections:
    """Boxes round the visible part of each object."""
    return Detections(
        visible.boxes_xyxy_px,
        np.ones(len(visible.actors), np.float32),
        bank.labels[visible.actors],
        CLASS_NAMES,
        stamp_ns,
        frame_id,
        view.size,
    )
