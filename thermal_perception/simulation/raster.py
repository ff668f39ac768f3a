"""From primitives to pixels: project, sort far to near, fill an image of primitive numbers.

Every picture and every truth of a frame is read from that one image of numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
import heapq
from typing import Any, TYPE_CHECKING, TypeVar

import cv2
import numpy as np

from thermal_perception.errors import SimulationError
from thermal_perception.simulation.bank import FIGURE_RANK
from thermal_perception.simulation.shapes import GROUND_RANK, RAGGED

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thermal_perception.simulation.bank import PrimitiveBank
    from thermal_perception.simulation.scene import Poses

F = TypeVar('F', np.float32, np.float64)

SHIFT = 4  # fractional bits of corner coordinates handed to OpenCV
NEAR_M = 0.25
FAR_M = 230.0
TINY_PX = 0.4
DETAIL_PX = 2.0  # windows, lamps and the like are left out when smaller
OUT_OF_REACH = 30_000
SLIMMEST_PX = 0.3
LEAF_PX = 1.3
SHARD_PX = 9.0
SLIM_PX = 3.0  # capsules up to this radius are drawn with fewer corners

# Corners of a capsule of radius 1 about its axis, half of them round each end.
_ROUND = np.deg2rad([90, 126, 162, 198, 234, 270, -90, -54, -18, 18, 54, 90])
_PLAIN = np.deg2rad([90, 180, 270, -90, 0, 90])


@dataclass(frozen=True, eq=False)
class View:
    """A camera at one moment.

    Attributes:
        size: (height, width) pixels.
        K: (3, 3) intrinsics; the centre of the first pixel is (0, 0).
        T_camera_world: (4, 4).
    """

    size: tuple[int, int]
    K: NDArray[np.float64]
    T_camera_world: NDArray[np.float64]

    @property
    def position(self) -> NDArray[np.float64]:
        """(3,) of the camera, world frame."""
        centre: NDArray[np.float64] = -self.T_camera_world[:3, :3].T @ self.T_camera_world[:3, 3]
        return centre


@dataclass(frozen=True, eq=False)
class Projected:
    """Primitives of one view in drawing order; the k-th is number k + 1 in the image.

    Attributes:
        batches: arrays (n, M, 2) float32 of corners, pixels, before sorting.
        batch_of: (N,) int64, which batch holds each primitive.
        row_of: (N,) int64, and where.
        surfaces: (N, 9) float32.
        owners: (N,) int64 actors.
        normals: (N, 3) float32 world frame; zero where round.
        depths: (N,) float32 metres along the optical axis.
        low: (N, 2) float32 least pixel coordinates of each.
        high: (N, 2) float32 greatest.
        on_ground: how many of them, at the front of the order, lie on the ground.
    """

    batches: tuple[NDArray[np.float32], ...]
    batch_of: NDArray[np.int64]
    row_of: NDArray[np.int64]
    surfaces: NDArray[np.float32]
    owners: NDArray[np.int64]
    normals: NDArray[np.float32]
    depths: NDArray[np.float32]
    low: NDArray[np.float32]
    high: NDArray[np.float32]
    on_ground: int

    def corners(self, first: int, last: int) -> list[NDArray[np.float32]]:
        """Corners (M, 2) of the primitives `first` .. `last - 1`."""
        places = zip(self.batch_of[first:last].tolist(), self.row_of[first:last].tolist())
        return [self.batches[batch][row] for batch, row in places]


@dataclass(frozen=True, eq=False)
class _Batch:
    """Primitives of one number of corners, before sorting; columns as in `Projected`.

    Attributes:
        corners: (N, M, 2) float32.
        rows: (N,) int64 rows of the bank's table of surfaces.
        ranks: (N,) int32.
    """

    corners: NDArray[np.float32]
    rows: NDArray[np.int64]
    owners: NDArray[np.int64]
    ranks: NDArray[np.int32]
    normals: NDArray[np.float32]
    depths: NDArray[np.float32]
    low: NDArray[np.float32]
    high: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class _Rods:
    """Capsules in the camera's frame; columns as in `_Batch`."""

    points: NDArray[np.float32]  # N, ends, xyz
    radii: NDArray[np.float32]  # N, ends
    rows: NDArray[np.int64]
    owners: NDArray[np.int64]
    ranks: NDArray[np.int32]


def project(bank: PrimitiveBank, poses: Poses, view: View) -> Projected:
    """Bring everything that may be seen into the picture, far to near."""
    seen = _in_sight(bank, poses, view)
    turn, shift = _actors_in_camera(poses, view)
    batches = [
        _project_polygons(bank, poses, view, seen, turn, shift),
        *_project_rods(bank, _static_rods(bank, seen, turn, shift), view),
        *_project_rods(bank, _figure_rods(bank, poses, seen, turn, shift), view),
    ]
    return _sort(batches, bank, poses, view)


def fill(projected: Projected, size: tuple[int, int], scale: int) -> NDArray[np.uint16]:
    """Fill an image of primitive numbers, `scale` times as fine as the camera; 0 is empty.

    Raises:
        SimulationError: if there are more primitives than 16-bit numbers.
    """
    count = len(projected.owners)
    if count >= 1 << 16:
        raise SimulationError(f'picture: found {count} primitives, expected at most 65535')
    image = np.zeros((size[0] * scale, size[1] * scale), np.uint16)
    fixed = [list(fixed_point(batch, scale)) for batch in projected.batches]
    places = zip(projected.batch_of.tolist(), projected.row_of.tolist())
    draw = cv2.fillConvexPoly
    for number, (batch, row) in enumerate(places, start=1):
        draw(image, fixed[batch][row], number, cv2.LINE_8, SHIFT)
    return image


def fixed_point(
    corners: NDArray[np.float32],
    scale: float | NDArray[np.float32],
    origin_px: float | NDArray[np.float32] = 0.0,
) -> NDArray[np.int32]:
    """Corners as OpenCV takes them, in an image `scale` times as fine as the camera's.

    Args:
        corners: (..., 2) pixels.
        scale: one for all, or what broadcasts with `corners`.
        origin_px: where the image starts, likewise.
    """
    fine = (corners + (0.5 - origin_px)) * scale - 0.5
    np.clip(fine, -OUT_OF_REACH, OUT_OF_REACH, out=fine)
    fine *= 1 << SHIFT
    return np.rint(fine).astype(np.int32, order='C')


def _in_sight(bank: PrimitiveBank, poses: Poses, view: View) -> NDArray[np.bool_]:
    """(N,) bool: whether the ball round each actor touches the camera's pyramid."""
    R, t = view.T_camera_world[:3, :3], view.T_camera_world[:3, 3]
    x, y, z = (middles(bank, poses) @ R.T + t).T
    radius = 0.5 * np.linalg.norm(bank.high - bank.low, axis=1) + 0.3
    (height, width), K = view.size, view.K
    seen: NDArray[np.bool_] = (z > NEAR_M - radius) & (z < FAR_M)
    for along, focal, middle_px, extent in (
        (x, K[0, 0], K[0, 2], width),
        (y, K[1, 1], K[1, 2], height),
    ):
        for sign, slope in ((1, (extent - middle_px) / focal), (-1, (middle_px + 1) / focal)):
            seen &= (sign * along - slope * z) < radius * np.hypot(1.0, slope)
    return seen


def middles(bank: PrimitiveBank, poses: Poses) -> NDArray[np.float64]:
    """(N, 3) middles of all actors' boxes, world frame."""
    middle = 0.5 * (bank.low + bank.high)
    c, s = np.cos(poses.yaw), np.sin(poses.yaw)
    x, y, z = middle.T
    return poses.xyz + np.stack([c * x - s * y, s * x + c * y, z], 1)


def _actors_in_camera(poses: Poses, view: View) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(N, 3, 3) transposed rotations and (N, 3) shifts from each actor's frame to the camera's."""
    c, s = np.cos(poses.yaw), np.sin(poses.yaw)
    zero, one = np.zeros_like(c), np.ones_like(c)
    R_world = np.stack([c, -s, zero, s, c, zero, zero, zero, one], 1).reshape(-1, 3, 3)
    R, t = view.T_camera_world[:3, :3], view.T_camera_world[:3, 3]
    turn = np.ascontiguousarray((R @ R_world).transpose(0, 2, 1), np.float32)
    return turn, (poses.xyz @ R.T + t).astype(np.float32)


def _project_polygons(
    bank: PrimitiveBank,
    poses: Poses,
    view: View,
    seen: NDArray[np.bool_],
    turn: NDArray[np.float32],
    shift: NDArray[np.float32],
) -> _Batch:
    chosen = np.flatnonzero(seen[bank.polygon_owner])
    chosen = chosen[_faces_camera(bank, chosen, turn, shift)]
    owner = bank.polygon_owner[chosen]
    points = bank.polygons[chosen] @ turn[owner] + shift[owner][:, None]
    low_z, high_z = _low_high(points[:, :, 2:])
    ahead = np.flatnonzero(high_z[:, 0] > NEAR_M)
    points, chosen, owner = points[ahead], chosen[ahead], owner[ahead]
    # A polygon cut at the near plane has one corner more; the others repeat their last.
    points = np.concatenate([points, points[:, -1:]], 1)
    for index in np.flatnonzero(low_z[ahead, 0] <= NEAR_M):
        points[index] = _clip_near(points[index])
    pixels = _to_pixels(points, view.K)
    low, high = _low_high(pixels)
    normals = _world_normals(bank.normals[chosen], poses.yaw[owner])
    depths = points[:, :, 2].mean(1)
    ranks = bank.polygon_rank[chosen]
    batch = _Batch(pixels, chosen, owner, ranks, normals, depths, low, high)
    return _worth_drawing(batch, view.size)


def _faces_camera(
    bank: PrimitiveBank,
    chosen: NDArray[np.int64],
    turn: NDArray[np.float32],
    shift: NDArray[np.float32],
) -> NDArray[np.bool_]:
    owner = bank.polygon_owner[chosen]
    camera = -np.einsum('nij,nj->ni', turn, shift)  # camera in each actor's frame
    to_camera = camera[owner] - bank.polygons[chosen, 0]
    facing: NDArray[np.bool_] = np.einsum('pi,pi->p', bank.normals[chosen], to_camera) > 0
    return facing | bank.two_sided[chosen]


def _static_rods(
    bank: PrimitiveBank,
    seen: NDArray[np.bool_],
    turn: NDArray[np.float32],
    shift: NDArray[np.float32],
) -> _Rods:
    chosen = np.flatnonzero(seen[bank.capsule_owner])
    owner = bank.capsule_owner[chosen]
    points = bank.capsules[chosen] @ turn[owner] + shift[owner][:, None]
    rows = chosen + bank.first_capsule_row
    return _Rods(points, bank.radii[chosen], rows, owner, bank.capsule_rank[chosen])


def _figure_rods(
    bank: PrimitiveBank,
    poses: Poses,
    seen: NDArray[np.bool_],
    turn: NDArray[np.float32],
    shift: NDArray[np.float32],
) -> _Rods:
    figures = np.flatnonzero(seen[bank.walkers])
    who = bank.walkers[figures]
    ends, radii = bank.figure_capsules(figures, poses.walked[who])
    limbs = ends.shape[1]
    owner = who.repeat(limbs)
    points = ends.reshape(-1, 2, 3) @ turn[owner] + shift[owner][:, None]
    rows = figures[:, None] * limbs + np.arange(limbs) + bank.first_figure_row
    ranks = np.full(len(owner), FIGURE_RANK, np.int32)
    return _Rods(points, radii.reshape(-1, 2), rows.ravel(), owner, ranks)


def _project_rods(bank: PrimitiveBank, rods: _Rods, view: View) -> list[_Batch]:
    """Outlines of capsules: many corners where they are thick, few where slim, leaves."""
    z = rods.points[:, :, 2]
    ahead = np.minimum(z[:, 0], z[:, 1]) > NEAR_M
    pixels = _to_pixels(np.where(ahead[:, None, None], rods.points, 1.0), view.K)
    focal = rods.radii * np.float32(view.K[0, 0])
    radii = np.asarray(focal / np.where(ahead[:, None], z, 1.0), np.float32)
    thick = np.maximum(radii[:, 0], radii[:, 1])
    low = np.minimum(pixels[:, 0], pixels[:, 1]) - thick[:, None]
    high = np.maximum(pixels[:, 0], pixels[:, 1]) + thick[:, None]
    jagged = bank.surfaces[rods.rows, RAGGED]
    keep = ahead & _touches(low, high, view.size)
    keep &= thick > np.where(jagged > 0, LEAF_PX, SLIMMEST_PX)
    # Close by, a leaf of three corners would look like a shard of glass.
    smooth, slim = (jagged == 0) | (thick > SHARD_PX), thick <= SLIM_PX
    batches = []
    for kind, chosen in enumerate((smooth & ~slim, smooth & slim, ~smooth)):
        index = np.flatnonzero(keep & chosen)
        if kind == 2:
            outline = _splinters(pixels[index, 0], radii[index, 0], jagged[index])
        else:
            outline = _capsule_outline(pixels[index], radii[index], (_ROUND, _PLAIN)[kind])
        normals = np.zeros((len(index), 3), np.float32)
        depths = 0.5 * (z[index, 0] + z[index, 1])
        owners, ranks = rods.owners[index], rods.ranks[index]
        rows = rods.rows[index]
        batches.append(
            _Batch(outline, rows, owners, ranks, normals, depths, low[index], high[index])
        )
    return batches


def _capsule_outline(
    pixels: NDArray[np.float32], radii: NDArray[np.float32], angles: NDArray[np.float64]
) -> NDArray[np.float32]:
    """(N, corners, 2) outlines of capsules given by (N, 2, 2) ends and (N, 2) radii, pixels."""
    axis = pixels[:, 1] - pixels[:, 0]
    length = np.hypot(axis[:, 0], axis[:, 1])
    along = axis / np.maximum(length, 1e-6)[:, None]
    along[length <= 1e-6] = 1.0, 0.0
    end = np.repeat([0, 1], len(angles) // 2)
    reach = radii[:, end]
    c, s = np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
    outline = pixels[:, end]
    outline[:, :, 0] += reach * (c * along[:, :1] - s * along[:, 1:])
    outline[:, :, 1] += reach * (c * along[:, 1:] + s * along[:, :1])
    return outline


def _splinters(
    middles_px: NDArray[np.float32], radii: NDArray[np.float32], which: NDArray[np.float32]
) -> NDArray[np.float32]:
    """(N, 3, 2) triangles instead of balls; leaves against the sky are not round."""
    number = which[:, None]
    turn = number * 6.2832 + np.array([0.0, 2.0, 4.0]) + np.sin(number * (7, 11, 13))
    reach = (1.15 + 0.45 * np.sin(number * (31, 17, 23))) * radii[:, None]
    around = np.stack([np.cos(turn) * reach, np.sin(turn) * reach], 2)
    return np.asarray(middles_px[:, None] + around, np.float32)


def _to_pixels(points: NDArray[np.float32], K: NDArray[np.float64]) -> NDArray[np.float32]:
    out = np.empty((*points.shape[:-1], 2), np.float32)
    np.divide(points[..., 0], points[..., 2], out=out[..., 0])
    np.divide(points[..., 1], points[..., 2], out=out[..., 1])
    out *= np.array([K[0, 0], K[1, 1]], np.float32)
    out += np.array([K[0, 2], K[1, 2]], np.float32)
    return out


def _low_high(points: NDArray[F]) -> tuple[NDArray[F], NDArray[F]]:
    """Extremes over axis 1; column by column, as numpy is slow on short axes."""
    low, high = points[:, 0].copy(), points[:, 0].copy()
    for corner in range(1, points.shape[1]):
        np.minimum(low, points[:, corner], out=low)
        np.maximum(high, points[:, corner], out=high)
    return low, high


def _clip_near(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cut a polygon in the camera frame at the near plane (Sutherland and Hodgman)."""
    kept = []
    for a, b in zip(points, np.roll(points, -1, axis=0)):
        if a[2] > NEAR_M:
            kept.append(a)
        if (a[2] > NEAR_M) != (b[2] > NEAR_M):
            kept.append(a + (NEAR_M - a[2]) / (b[2] - a[2]) * (b - a))
    kept += [kept[-1]] * (len(points) - len(kept))
    return np.array(kept[: len(points)], np.float32)


def _world_normals(normals: NDArray[np.float32], yaw: NDArray[np.float64]) -> NDArray[np.float32]:
    c, s = np.cos(yaw), np.sin(yaw)
    x, y, z = normals.T
    return np.stack([c * x - s * y, s * x + c * y, z], 1).astype(np.float32)


def _touches(
    low: NDArray[np.float32], high: NDArray[np.float32], size: tuple[int, int]
) -> NDArray[np.bool_]:
    height, width = size
    inside: NDArray[np.bool_] = (high[:, 0] > -0.5) & (high[:, 1] > -0.5)
    return inside & (low[:, 0] < width) & (low[:, 1] < height)


def _worth_drawing(batch: _Batch, size: tuple[int, int]) -> _Batch:
    """Leave out what misses the picture or is too small to fill anything."""
    extent = batch.high - batch.low
    keep = _touches(batch.low, batch.high, size)
    least = np.where(batch.ranks > 0, DETAIL_PX, TINY_PX)
    keep &= np.maximum(extent[:, 0], extent[:, 1]) > least
    index = np.flatnonzero(keep)
    return _Batch(*(getattr(batch, name)[index] for name in _Batch.__dataclass_fields__))


def _sort(batches: list[_Batch], bank: PrimitiveBank, poses: Poses, view: View) -> Projected:
    """Ground first, then actors far to near; inside an actor by rank, then far to near."""

    def joined(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(b, name) for b in batches])

    owners, ranks, depths = joined('owners'), joined('ranks'), joined('depths')
    low, high = joined('low'), joined('high')
    solid = ranks > GROUND_RANK
    places = np.zeros(len(bank.labels), np.int64)
    order = _actor_order(_outlines(owners[solid], low[solid], high[solid]), bank, poses, view)
    places[order] = np.arange(1, len(order) + 1)
    place = np.where(solid, places[owners], 0)
    index = np.lexsort((-depths, ranks, place))
    counts = [len(b.corners) for b in batches]
    return Projected(
        tuple(b.corners for b in batches),
        np.repeat(np.arange(len(batches)), counts)[index],
        np.concatenate([np.arange(count) for count in counts])[index],
        bank.surfaces[joined('rows')[index]],
        owners[index],
        joined('normals')[index],
        depths[index],
        low[index],
        high[index],
        int((~solid).sum()),
    )


@dataclass(frozen=True, eq=False)
class _Outlines:
    """Boxes round actors in the picture: (M,) actors, (M, 2) low and high pixels."""

    actors: NDArray[np.int64]
    low: NDArray[np.float32]
    high: NDArray[np.float32]


def _outlines(
    owners: NDArray[np.int64], low: NDArray[np.float32], high: NDArray[np.float32]
) -> _Outlines:
    if not len(owners):
        return _Outlines(owners, low, high)
    index = np.argsort(owners, kind='stable')
    owners = owners[index]
    starts = np.flatnonzero(np.r_[True, owners[1:] != owners[:-1]])
    lowest = np.minimum.reduceat(low[index], starts)
    return _Outlines(owners[starts], lowest, np.maximum.reduceat(high[index], starts))


def _actor_order(
    outlines: _Outlines, bank: PrimitiveBank, poses: Poses, view: View
) -> NDArray[np.int64]:
    """Actors in an order in which nobody is painted over by what stands behind.

    A comes before B if their outlines overlap in the picture and B may hide A. What stands
    wholly on the camera's side of a wall of B cannot be hidden by B.
    """
    actors = outlines.actors
    centre = poses.xyz[actors] + (0, 0, 0.5) * (bank.high + bank.low)[actors]
    distance = np.linalg.norm(centre - view.position, axis=1)
    far_first = np.argsort(-distance, kind='stable')
    actors, low, high = actors[far_first], outlines.low[far_first], outlines.high[far_first]
    apart = (low[:, None, 0] >= high[None, :, 0]) | (low[:, None, 1] >= high[None, :, 1])
    # Pairs of places in the far-first order; the first is the farther one.
    far, near = np.nonzero(np.triu(~(apart | apart.T), 1))
    near_hides = ~_beyond_wall(actors[far], actors[near], bank, poses, view.position)
    far_hides = ~_beyond_wall(actors[near], actors[far], bank, poses, view.position)
    swap = far_hides & ~near_hides
    tied = ~(far_hides | near_hides)
    first, second = np.where(swap, near, far)[~tied], np.where(swap, far, near)[~tied]
    return actors[_topological(len(actors), first, second)]


def _beyond_wall(
    who: NDArray[np.int64],
    wall: NDArray[np.int64],
    bank: PrimitiveBank,
    poses: Poses,
    camera: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """(pairs,) bool: `who` lies wholly beyond a side of `wall` that the camera lies beyond too."""
    x, y = _footprints(who, bank, poses)  # pairs, corners
    base, yaw = poses.xyz[wall], poses.yaw[wall]
    c, s = np.cos(yaw), np.sin(yaw)
    dx, dy = x - base[:, :1], y - base[:, 1:2]
    eye_x, eye_y = camera[0] - base[:, 0], camera[1] - base[:, 1]
    low, high, slack = bank.low[wall], bank.high[wall], 0.05
    beyond = (bank.low[who, 2] + poses.xyz[who, 2] >= high[:, 2] - slack) & (
        camera[2] > high[:, 2]
    )
    for corners, eye, axis in (
        (c[:, None] * dx + s[:, None] * dy, c * eye_x + s * eye_y, 0),
        (c[:, None] * dy - s[:, None] * dx, c * eye_y - s * eye_x, 1),
    ):
        least, most = _low_high(corners)
        beyond |= (least >= high[:, axis] - slack) & (eye > high[:, axis])
        beyond |= (most <= low[:, axis] + slack) & (eye < low[:, axis])
    return np.asarray(beyond)


def _footprints(
    who: NDArray[np.int64], bank: PrimitiveBank, poses: Poses
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """World x and y, (N, 4) each, of the corners of actors' boxes."""
    low, high = bank.low[who], bank.high[who]
    x = np.stack([low[:, 0], high[:, 0], high[:, 0], low[:, 0]], 1)
    y = np.stack([low[:, 1], low[:, 1], high[:, 1], high[:, 1]], 1)
    c, s = np.cos(poses.yaw[who])[:, None], np.sin(poses.yaw[who])[:, None]
    at = poses.xyz[who]
    return c * x - s * y + at[:, :1], s * x + c * y + at[:, 1:2]


def _topological(
    count: int, first: NDArray[np.int64], second: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Order 0..count-1 with every `first` ahead of its `second`, low numbers first.

    Where that is impossible, three things that hide each other in turn, the cycle is cut at
    the thing that waits for fewest.
    """
    waiting = np.bincount(second, minlength=count).tolist()
    followers: list[list[int]] = [[] for _ in range(count)]
    for a, b in zip(first.tolist(), second.tolist()):
        followers[a].append(b)
    free = [i for i in range(count) if waiting[i] == 0]
    heapq.heapify(free)
    left, order = set(range(count)), []
    while left:
        place = heapq.heappop(free) if free else min(left, key=lambda i: (waiting[i], i))
        if place not in left:
            continue
        left.remove(place)
        order.append(place)
        for follower in followers[place]:
            waiting[follower] -= 1
            if waiting[follower] == 0:
                heapq.heappush(free, follower)
    return np.array(order, np.int64)
