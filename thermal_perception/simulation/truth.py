"""What a frame really shows, read from the same image of primitive numbers as its pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TYPE_CHECKING

import cv2
import numpy as np

from thermal_perception.simulation.actors import CLASS_NAMES
from thermal_perception.simulation.raster import fixed_point, middles, SHIFT
from thermal_perception.types import Boxes3D, Detections, SegmentationMask

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thermal_perception.simulation.bank import PrimitiveBank
    from thermal_perception.simulation.raster import Projected, View
    from thermal_perception.simulation.scene import Poses

SILHOUETTE_PX = 96  # longer side of the picture in which a hidden outline is measured


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
    numbers: NDArray[np.uint16],
    bank: PrimitiveBank,
    view: View,
    scale: int,
) -> Visible:
    """Measure every object of a class in the image of numbers."""
    found = []
    for run in _runs(projected, bank, numbers.shape, scale):
        x0, y0, x1, y1 = run.window
        part = numbers[y0:y1, x0:x1]
        own = cv2.inRange(part, run.first + 1, run.last)
        seen_px = cv2.countNonZero(own)
        if seen_px < scale * scale:
            continue
        x, y, w, h = cv2.boundingRect(own)
        box = (x0 + x, y0 + y, x0 + x + w, y0 + y + h)
        whole = run.inside and part.max() <= run.last
        found.append((run, box, seen_px, whole))
    hidden = [run for run, _, _, whole in found if not whole]
    areas = dict(zip((run.actor for run in hidden), _silhouettes_px(projected, hidden, scale)))
    shares = [min(1.0, px / max(areas.get(run.actor, px), 1.0)) for run, _, px, _ in found]
    return Visible(
        np.array([run.actor for run, *_ in found], np.int64),
        np.array([box for _, box, *_ in found], np.float32).reshape(-1, 4) / np.float32(scale),
        np.array(shares, np.float32),
    )


class _Run(NamedTuple):
    """The primitives of one object, `first + 1 .. last` in the image of numbers.

    Attributes:
        low: (2,) least pixel coordinates.
        high: (2,) greatest.
        window: x0, y0, x1, y1 of the fine pixels the object may touch.
        inside: whether that window keeps off the edges of the image.
    """

    actor: int
    first: int
    last: int
    low: NDArray[np.float32]
    high: NDArray[np.float32]
    window: tuple[int, int, int, int]
    inside: bool


def _runs(
    projected: Projected, bank: PrimitiveBank, shape: tuple[int, ...], scale: int
) -> list[_Run]:
    """Classed objects that reach into the image; primitives of one object are neighbours."""
    start = projected.on_ground
    owners = projected.owners[start:]
    if not len(owners):
        return []
    firsts = np.flatnonzero(np.r_[True, owners[1:] != owners[:-1]])
    lows = np.minimum.reduceat(projected.low[start:], firsts)
    highs = np.maximum.reduceat(projected.high[start:], firsts)
    least = np.floor((lows + 0.5) * scale - 1.5).astype(int)
    most = np.ceil((highs + 0.5) * scale + 1.5).astype(int)
    limits = np.array(shape[1::-1])
    inside = np.asarray(((least > 0) & (most < limits)).all(1))
    windows = np.c_[np.maximum(least, 0), np.minimum(most, limits)].tolist()
    lasts = [*firsts[1:].tolist(), len(owners)]
    actors = owners[firsts]
    return [
        _Run(
            int(actors[i]),
            int(firsts[i]) + start,
            lasts[i] + start,
            lows[i],
            highs[i],
            tuple(windows[i]),
            bool(inside[i]),
        )
        for i in np.flatnonzero(bank.labels[actors] >= 0)
        if windows[i][0] < windows[i][2] and windows[i][1] < windows[i][3]
    ]


def _silhouettes_px(projected: Projected, runs: list[_Run], scale: int) -> list[float]:
    """Fine pixels each whole object would cover, alone in an endless picture."""
    if not runs:
        return []
    counts = [run.last - run.first for run in runs]
    low, high = np.array([r.low for r in runs]), np.array([r.high for r in runs])
    extent = (high - low).max(1, keepdims=True) * scale
    zoom = np.minimum(1.0, SILHOUETTE_PX / np.maximum(extent, 1.0)) * scale
    sizes = np.ceil((high - low) * zoom).astype(int) + 4
    corners = [c for run in runs for c in projected.corners(run.first, run.last)]
    lengths = [len(c) for c in corners]
    each = np.repeat(np.repeat(np.arange(len(runs)), counts), lengths)
    origins = (low - 1.5 / zoom).astype(np.float32)
    joined = fixed_point(np.concatenate(corners), zoom.astype(np.float32)[each], origins[each])
    ends = np.cumsum(lengths).tolist()
    outlines = iter([joined[a:b] for a, b in zip([0, *ends], ends)])
    areas = []
    for count, (width, height), factor in zip(counts, sizes.tolist(), zoom[:, 0].tolist()):
        canvas = np.zeros((height, width), np.uint8)
        for _ in range(count):
            cv2.fillConvexPoly(canvas, next(outlines), 1, cv2.LINE_8, SHIFT)
        areas.append(cv2.countNonZero(canvas) * (scale / factor) ** 2)
    return areas


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
    world = middles(bank, poses)[who]
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
