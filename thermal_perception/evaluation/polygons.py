"""Exact overlap of convex quadrilaterals, for boxes at any angle."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from thermal_perception.errors import MetricError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def rotated_corners(boxes_cxcywha: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the corners (N, 4, 2) of boxes (N, 5): centre x, y, width, height, angle in radians.

    The angle turns the width from x towards y, which is clockwise on the screen.
    """
    centres, sizes, angles = np.split(boxes_cxcywha.astype(np.float64), [2, 4], axis=1)
    signs = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) / 2
    local = signs * sizes[:, None]  # (N, 4, 2)
    cos, sin = np.cos(angles), np.sin(angles)  # (N, 1)
    x = local[..., 0] * cos - local[..., 1] * sin
    y = local[..., 0] * sin + local[..., 1] * cos
    return np.stack([x, y], axis=-1) + centres[:, None]


def polygon_areas(polygons: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the signed areas (P,) of polygons (P, V, 2), positive if x turns to y."""
    following = np.roll(polygons, -1, axis=1)
    cross = polygons[..., 0] * following[..., 1] - polygons[..., 1] * following[..., 0]
    areas: NDArray[np.float64] = cross.sum(axis=1, dtype=np.float64) / 2
    return areas


def convex(quadrilaterals: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return quadrilaterals (N, 4, 2) with their corners in turning order.

    Corners in a crossed or dented order, as hand-made labels sometimes have, are replaced by their
    convex hull; a hull of three corners repeats one.

    Raises:
        MetricError: if the shape is another, or a corner is not finite.
    """
    corners = np.asarray(quadrilaterals, np.float64)
    if corners.ndim != 3 or corners.shape[1:] != (4, 2):
        raise MetricError(f'quadrilaterals: found {corners.shape}, expected (N, 4, 2)')
    if not np.isfinite(corners).all():
        raise MetricError('quadrilaterals: found a corner that is not finite')
    sides = np.roll(corners, -1, axis=1) - corners
    next_sides = np.roll(sides, -1, axis=1)
    turns = sides[..., 0] * next_sides[..., 1] - sides[..., 1] * next_sides[..., 0]  # (N, 4)
    result = np.where((turns.sum(axis=1) < 0)[:, None, None], corners[:, ::-1], corners)
    for n in np.flatnonzero((turns < 0).any(axis=1) & (turns > 0).any(axis=1)):
        result[n] = _hull(corners[n])
    return result


def polygon_overlaps(
    boxes: NDArray[np.floating], others: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Return intersection over union of (D, 4, 2) and (G, 4, 2) corners as (D, G) in 0..1.

    Raises:
        MetricError: if the shapes are others, or a corner is not finite.
    """
    ours, theirs = convex(boxes), convex(others)
    shared = _shared_areas(ours, theirs)
    union = polygon_areas(ours)[:, None] + polygon_areas(theirs) - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def shared_areas(boxes: NDArray[np.floating], others: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the areas (D, G) that (D, 4, 2) and (G, 4, 2) corners share.

    Raises:
        MetricError: if the shapes are others, or a corner is not finite.
    """
    return _shared_areas(convex(boxes), convex(others))


def _shared_areas(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> NDArray[np.float64]:
    rows, columns = np.nonzero(_hulls_touch(ours, theirs))
    shared = np.zeros((len(ours), len(theirs)))
    shared[rows, columns] = _intersections(ours[rows], theirs[columns])
    return shared


def _hulls_touch(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which pairs (D, G) have overlapping upright boxes; the others share nothing."""
    starts = np.maximum(a.min(axis=1)[:, None], b.min(axis=1))
    ends = np.minimum(a.max(axis=1)[:, None], b.max(axis=1))
    touch: NDArray[np.bool_] = (starts < ends).all(axis=2)
    return touch


def _intersections(
    subjects: NDArray[np.float64], clips: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the shared areas (P,) of pairs of convex (P, 4, 2), both in turning order.

    Each side of `clips` cuts off what lies outside it (Sutherland and Hodgman, Reentrant Polygon
    Clipping, 1974), for all pairs at once.
    """
    polygons = subjects
    for corner in range(4):
        start, end = clips[:, corner], clips[:, (corner + 1) % 4]
        polygons = _cut(polygons, start, end - start)
    areas: NDArray[np.float64] = np.clip(polygon_areas(polygons), 0, None)
    return areas


def _cut(
    polygons: NDArray[np.float64], start: NDArray[np.float64], side: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Keep what lies left of a line: (P, V, 2) becomes (P, V + 1, 2); spare corners repeat one."""
    pairs, corners = polygons.shape[:2]
    offsets = polygons - start[:, None]
    heights = side[:, None, 0] * offsets[..., 1] - side[:, None, 1] * offsets[..., 0]  # (P, V)
    following, next_heights = np.roll(polygons, -1, axis=1), np.roll(heights, -1, axis=1)
    inside, crosses = heights >= 0, (heights >= 0) != (next_heights >= 0)
    fall = np.where(crosses, heights - next_heights, 1)
    crossings = polygons + (heights / fall)[..., None] * (following - polygons)
    # Each corner gives itself, if inside, and then the crossing behind it, if there is one.
    points = np.stack([polygons, crossings], axis=2).reshape(pairs, 2 * corners, 2)
    kept = np.stack([inside, crosses], axis=2).reshape(pairs, 2 * corners)
    order = np.argsort(~kept, axis=1, kind='stable')[:, : corners + 1]
    points = np.take_along_axis(points, order[..., None], axis=1)
    used = np.arange(corners + 1) < kept.sum(axis=1)[:, None]
    first = np.where(used[:, :1, None], points[:, :1], 0)
    return np.where(used[..., None], points, first)


def _hull(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    hull = corners[cv2.convexHull(corners.astype(np.float32), returnPoints=False)[:, 0]]
    padded = np.concatenate([hull, np.repeat(hull[-1:], 4 - len(hull), axis=0)])
    return padded if polygon_areas(padded[None])[0] >= 0 else padded[::-1]
