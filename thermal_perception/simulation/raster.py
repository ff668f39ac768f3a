"""From primitives to pixels: project, sort far to near, fill an image of primitive numbers.

Every picture and every truth of a frame is read from that one image of numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from thermal_perception.simulation.bank import FIGURE_RANK
from thermal_perception.simulation.shapes import COLUMNS, GROUND_RANK, RAGGED

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thermal_perception.simulation.bank import PrimitiveBank
    from thermal_perception.simulation.scene import Poses

SHIFT = 4  # fractional bits of corner coordinates handed to OpenCV
NEAR_M = 0.25
FAR_M = 280.0
TINY_PX = 0.35
OUT_OF_REACH = 30_000

# Corners of a capsule of radius 1 about its axis, six round each end.
_ANGLES = np.deg2rad([90, 126, 162, 198, 234, 270, -90, -54, -18, 18, 54, 90])
_ARC = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], 1)
_ARC_END = np.repeat([0, 1], 6)


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
        return -self.T_camera_world[:3, :3].T @ self.T_camera_world[:3, 3]


@dataclass(frozen=True, eq=False)
class Projected:
    """Primitives of one view in drawing order; the k-th is number k + 1 in the image.

    Attributes:
        corners: N arrays (M, 2) float32, pixels.
        surfaces: (N, 9) float32.
        owners: (N,) int64 actors.
        normals: (N, 3) float32 world frame; zero where round.
        depths: (N,) float32 metres along the optical axis.
        anchors: (N, 2) float32 pixels that textures hang on.
        on_ground: how many of them, at the front of the order, lie on the ground.
    """

    corners: list[NDArray[np.float32]]
    surfaces: NDArray[np.float32]
    owners: NDArray[np.int64]
    normals: NDArray[np.float32]
    depths: NDArray[np.float32]
    anchors: NDArray[np.float32]
    on_ground: int


@dataclass(frozen=True, eq=False)
class _Batch:
    """Primitives before sorting."""

    corners: list[NDArray[np.float32]]
    surfaces: NDArray[np.float32]
    owners: NDArray[np.int64]
    ranks: NDArray[np.int32]
    normals: NDArray[np.float32]
    depths: NDArray[np.float32]
    low: NDArray[np.float32]
    high: NDArray[np.float32]


def project(bank: PrimitiveBank, poses: Poses, view: View) -> Projected:
    """Bring everything that may be seen into the picture, far to near."""
    seen = _in_sight(bank, poses, view)
    turn, shift = _actors_in_camera(poses, view)
    batches = [
        _project_polygons(bank, poses, view, seen, turn, shift),
        *_project_capsules(bank, poses, view, seen, turn, shift),
    ]
    return _sort(_join(batches), bank, poses, view)


def fill(projected: Projected, size: tuple[int, int], scale: int) -> NDArray[np.int32]:
    """Fill an image of primitive numbers, `scale` times as fine as the camera; 0 is empty."""
    image = np.zeros((size[0] * scale, size[1] * scale), np.int32)
    fixed = _fixed_point(projected.corners, scale)
    draw = cv2.fillConvexPoly
    for number, corners in enumerate(fixed, start=1):
        draw(image, corners, number, cv2.LINE_8, SHIFT)
    return image


def _fixed_point(corners: list[NDArray[np.float32]], scale: int) -> list[NDArray[np.int32]]:
    if not corners:
        return []
    joined = np.concatenate(corners)
    joined = np.clip((joined + 0.5) * scale - 0.5, -OUT_OF_REACH, OUT_OF_REACH)
    whole = np.rint(joined * (1 << SHIFT)).astype(np.int32)
    ends = np.cumsum([len(c) for c in corners]).tolist()
    return [whole[a:b] for a, b in zip([0, *ends], ends)]


def _in_sight(bank: PrimitiveBank, poses: Poses, view: View) -> NDArray[np.bool_]:
    """(N,) bool: whether the ball round each actor touches the camera's pyramid."""
    middle = 0.5 * (bank.low + bank.high)
    c, s = np.cos(poses.yaw), np.sin(poses.yaw)
    world = poses.xyz + np.stack(
        [c * middle[:, 0] - s * middle[:, 1], s * middle[:, 0] + c * middle[:, 1], middle[:, 2]], 1
    )
    radius = 0.5 * np.linalg.norm(bank.high - bank.low, axis=1) + 0.3
    R, t = view.T_camera_world[:3, :3], view.T_camera_world[:3, 3]
    x, y, z = (world @ R.T + t).T
    (height, width), K = view.size, view.K
    seen = (z > NEAR_M - radius) & (z < FAR_M)
    for along, focal, middle_px, extent in (
        (x, K[0, 0], K[0, 2], width),
        (y, K[1, 1], K[1, 2], height),
    ):
        for sign, slope in ((1, (extent - middle_px) / focal), (-1, (middle_px + 1) / focal)):
            seen &= (sign * along - slope * z) < radius * np.hypot(1.0, slope)
    return seen


def _actors_in_camera(poses: Poses, view: View) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(N, 3, 3) and (N, 3): from each actor's frame to the camera's."""
    c, s = np.cos(poses.yaw), np.sin(poses.yaw)
    zero, one = np.zeros_like(c), np.ones_like(c)
    R_world = np.stack([c, -s, zero, s, c, zero, zero, zero, one], 1).reshape(-1, 3, 3)
    R, t = view.T_camera_world[:3, :3], view.T_camera_world[:3, 3]
    return (R @ R_world).astype(np.float32), (poses.xyz @ R.T + t).astype(np.float32)


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
    points = bank.polygons[chosen] @ turn[owner].transpose(0, 2, 1) + shift[owner][:, None]
    z = points[:, :, 2]
    ahead = z.max(1) > NEAR_M
    chosen, owner, points, z = chosen[ahead], owner[ahead], points[ahead], z[ahead]
    crossing = z.min(1) <= NEAR_M
    safe = np.maximum(z, NEAR_M)
    pixels = _to_pixels(points, safe, view.K)
    corners = list(pixels)
    for index in np.flatnonzero(crossing):
        cut = _clip_near(points[index])
        corners[index] = _to_pixels(cut, cut[:, 2], view.K)
        pixels[index] = corners[index].min(0)
        pixels[index, 0] = corners[index].max(0)
    normals = _world_normals(bank.normals[chosen], poses.yaw[owner])
    batch = _Batch(
        corners,
        bank.polygon_surface[chosen],
        owner,
        bank.polygon_rank[chosen],
        normals,
        safe.mean(1),
        pixels.min(1),
        pixels.max(1),
    )
    return _visible_only(batch, view.size)


def _faces_camera(
    bank: PrimitiveBank,
    chosen: NDArray[np.int64],
    turn: NDArray[np.float32],
    shift: NDArray[np.float32],
) -> NDArray[np.bool_]:
    owner = bank.polygon_owner[chosen]
    camera = -np.einsum('nji,nj->ni', turn, shift)  # camera in each actor's frame
    to_camera = camera[owner] - bank.polygons[chosen, 0]
    facing = np.einsum('pi,pi->p', bank.normals[chosen], to_camera) > 0
    return facing | bank.two_sided[chosen]


def _project_capsules(
    bank: PrimitiveBank,
    poses: Poses,
    view: View,
    seen: NDArray[np.bool_],
    turn: NDArray[np.float32],
    shift: NDArray[np.float32],
) -> list[_Batch]:
    """Static capsules and posed figures."""
    chosen = np.flatnonzero(seen[bank.capsule_owner])
    owner = bank.capsule_owner[chosen]
    batches = [
        _capsule_batch(
            bank.capsules[chosen] @ turn[owner].transpose(0, 2, 1) + shift[owner][:, None],
            bank.radii[chosen],
            bank.capsule_surface[chosen],
            owner,
            bank.capsule_rank[chosen],
            view,
        )
    ]
    figures = np.flatnonzero(seen[bank.walkers]) if len(bank.walkers) else np.zeros(0, np.int64)
    if len(figures):
        who = bank.walkers[figures]
        ends, radii = bank.figure_capsules(figures, poses.walked[who])
        limbs = ends.shape[1]
        owner = who.repeat(limbs)
        points = ends.reshape(-1, 2, 3) @ turn[owner].transpose(0, 2, 1) + shift[owner][:, None]
        surfaces = bank.figure_surface[figures].reshape(-1, COLUMNS)
        ranks = np.full(len(owner), FIGURE_RANK, np.int32)
        batches.append(_capsule_batch(points, radii.reshape(-1, 2), surfaces, owner, ranks, view))
    return batches


def _capsule_batch(
    points: NDArray[np.float32],
    radii: NDArray[np.float32],
    surfaces: NDArray[np.float32],
    owner: NDArray[np.int64],
    ranks: NDArray[np.int32],
    view: View,
) -> _Batch:
    ahead = points[:, :, 2].min(1) > NEAR_M
    points, radii = points[ahead], radii[ahead]
    z = points[:, :, 2]
    pixels = _to_pixels(points, z, view.K)  # capsules, ends, xy
    radii_px = radii * view.K[0, 0].astype(np.float32) / z
    axis = pixels[:, 1] - pixels[:, 0]
    length = np.linalg.norm(axis, axis=1, keepdims=True)
    along = np.where(length > 1e-6, axis / np.maximum(length, 1e-6), (1.0, 0.0))
    across = np.stack([-along[:, 1], along[:, 0]], 1)
    arc = _ARC[None, :, :1] * along[:, None] + _ARC[None, :, 1:] * across[:, None]
    outline = pixels[:, _ARC_END] + radii_px[:, _ARC_END, None] * arc
    ragged = surfaces[ahead][:, RAGGED]
    leaves = np.flatnonzero(ragged)
    outline[leaves] = pixels[leaves, :1] + radii_px[leaves, :1, None] * _splinters(ragged[leaves])
    outline = outline.astype(np.float32)
    batch = _Batch(
        list(outline),
        surfaces[ahead],
        owner[ahead],
        ranks[ahead],
        np.zeros((len(outline), 3), np.float32),
        z.mean(1),
        outline.min(1),
        outline.max(1),
    )
    return _visible_only(batch, view.size)


def _splinters(which: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N, 12, 2) triangles of about radius 1; leaves against the sky are not round."""
    turn = (
        which[:, None] * 6.2832 + np.array([0.0, 2.0, 4.0]) + np.sin(which[:, None] * (7, 11, 13))
    )
    reach = 1.15 + 0.45 * np.sin(which[:, None] * (31, 17, 23))
    corners = np.stack([np.cos(turn), np.sin(turn)], 2) * reach[:, :, None]
    return corners[:, [0] * 4 + [1] * 4 + [2] * 4].astype(np.float32)


def _to_pixels(
    points: NDArray[np.float32], z: NDArray[np.float32], K: NDArray[np.float64]
) -> NDArray[np.float32]:
    u = points[..., 0] / z * K[0, 0] + K[0, 2]
    v = points[..., 1] / z * K[1, 1] + K[1, 2]
    return np.stack([u, v], -1).astype(np.float32)


def _clip_near(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cut a polygon in the camera frame at the near plane (Sutherland and Hodgman)."""
    kept = []
    for a, b in zip(points, np.roll(points, -1, axis=0)):
        if a[2] > NEAR_M:
            kept.append(a)
        if (a[2] > NEAR_M) != (b[2] > NEAR_M):
            kept.append(a + (NEAR_M - a[2]) / (b[2] - a[2]) * (b - a))
    return np.array(kept, np.float32)


def _world_normals(normals: NDArray[np.float32], yaw: NDArray[np.float64]) -> NDArray[np.float32]:
    c, s = np.cos(yaw), np.sin(yaw)
    x, y, z = normals.T
    return np.stack([c * x - s * y, s * x + c * y, z], 1).astype(np.float32)


def _visible_only(batch: _Batch, size: tuple[int, int]) -> _Batch:
    """Leave out what misses the picture or is too small to fill anything."""
    height, width = size
    keep = (batch.high > (-0.5, -0.5)).all(1) & (batch.low < (width, height)).all(1)
    keep &= (batch.high - batch.low).max(1) > TINY_PX
    return _take(batch, np.flatnonzero(keep))


def _take(batch: _Batch, index: NDArray[np.int64]) -> _Batch:
    return _Batch(
        [batch.corners[i] for i in index.tolist()],
        batch.surfaces[index],
        batch.owners[index],
        batch.ranks[index],
        batch.normals[index],
        batch.depths[index],
        batch.low[index],
        batch.high[index],
    )


def _join(batches: list[_Batch]) -> _Batch:
    def together(name: str) -> NDArray:
        return np.concatenate([getattr(b, name) for b in batches])

    corners = [c for b in batches for c in b.corners]
    names = ('surfaces', 'owners', 'ranks', 'normals', 'depths', 'low', 'high')
    return _Batch(corners, *(together(name) for name in names))


def _sort(batch: _Batch, bank: PrimitiveBank, poses: Poses, view: View) -> Projected:
    """Ground first, then actors far to near; inside an actor by rank, then far to near."""
    solid = batch.ranks > GROUND_RANK
    places = np.zeros(len(bank.labels), np.int64)
    order = _actor_order(batch, solid, bank, poses, view)
    places[order] = np.arange(1, len(order) + 1)
    place = np.where(solid, places[batch.owners], 0)
    # Round things have no faces to sort by rank; only their depth counts.
    index = np.lexsort((-batch.depths, batch.ranks, place))
    batch = _take(batch, index)
    return Projected(
        batch.corners,
        batch.surfaces,
        batch.owners,
        batch.normals,
        batch.depths,
        batch.low,
        int((~solid).sum()),
    )


def _actor_order(
    batch: _Batch,
    solid: NDArray[np.bool_],
    bank: PrimitiveBank,
    poses: Poses,
    view: View,
) -> NDArray[np.int64]:
    """Actors in an order in which nobody is painted over by what stands behind.

    A sorts before B if their outlines overlap in the picture and B may hide A. What stands
    wholly on the camera's side of a wall of B cannot be hidden by B.
    """
    owners = np.unique(batch.owners[solid])
    if not len(owners):
        return owners
    centre = poses.xyz[owners] + (0, 0, 0.5) * (bank.high + bank.low)[owners]
    distance = np.linalg.norm(centre - view.position, axis=1)
    far_first = np.argsort(-distance, kind='stable')
    owners, distance = owners[far_first], distance[far_first]
    overlap = _boxes_overlap(batch, solid, owners)
    hides = ~_in_front(owners, bank, poses, view.position)  # [b, a]: b may hide a
    before = overlap & hides.T & (~hides | (distance[:, None] > distance[None]))  # [a, b]
    np.fill_diagonal(before, False)
    return owners[_topological(before)]


def _boxes_overlap(
    batch: _Batch, solid: NDArray[np.bool_], owners: NDArray[np.int64]
) -> NDArray[np.bool_]:
    low = np.full((owners.max() + 1, 2), np.inf, np.float32)
    high = np.full((owners.max() + 1, 2), -np.inf, np.float32)
    np.minimum.at(low, batch.owners[solid], batch.low[solid])
    np.maximum.at(high, batch.owners[solid], batch.high[solid])
    low, high = low[owners], high[owners]
    return ((low[:, None] < high[None]) & (low[None] < high[:, None])).all(2)


def _in_front(
    owners: NDArray[np.int64],
    bank: PrimitiveBank,
    poses: Poses,
    camera: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """[b, a]: actor a lies wholly beyond a wall of b that the camera also lies beyond."""
    low, high = bank.low[owners], bank.high[owners]
    c, s = np.cos(poses.yaw[owners]), np.sin(poses.yaw[owners])
    xy = poses.xyz[owners, :2]
    box = np.stack([low[:, :2], high[:, :2]], 1)  # actors, low/high, xy
    corners = (
        np.stack([box[:, i, 0] for i in (0, 1, 1, 0)], 1),
        np.stack([box[:, i, 1] for i in (0, 0, 1, 1)], 1),
    )
    world = np.stack(
        [
            c[:, None] * corners[0] - s[:, None] * corners[1] + xy[:, :1],
            s[:, None] * corners[0] + c[:, None] * corners[1] + xy[:, 1:],
        ],
        2,
    )  # actors, corners, xy
    relative = world[None] - xy[:, None, None]  # b, a, corners, xy
    along = relative[..., 0] * c[:, None, None] + relative[..., 1] * s[:, None, None]
    across = relative[..., 1] * c[:, None, None] - relative[..., 0] * s[:, None, None]
    eye = camera[:2] - xy
    eye_along, eye_across = eye[:, 0] * c + eye[:, 1] * s, eye[:, 1] * c - eye[:, 0] * s
    slack = 0.05
    front = np.zeros((len(owners), len(owners)), bool)
    for part, seen, axis in ((along, eye_along, 0), (across, eye_across, 1)):
        front |= (part.min(2) >= high[:, None, axis] - slack) & (seen > high[:, axis])[:, None]
        front |= (part.max(2) <= low[:, None, axis] + slack) & (seen < low[:, axis])[:, None]
    # From above, what is higher than the top of b cannot be hidden by b.
    above = low[None, :, 2] >= high[:, None, 2] - slack
    return front | (above & (camera[2] > high[:, 2])[:, None])


def _topological(before: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Order with every a of `before[a, b]` ahead of b, the first free one first; cycles break."""
    count = len(before)
    waiting = before.sum(0).astype(np.int64)
    followers = [np.flatnonzero(row) for row in before]
    order = np.empty(count, np.int64)
    for place in range(count):
        nearest = int(waiting.argmin())
        order[place] = nearest
        waiting[followers[nearest]] -= 1
        waiting[nearest] = 1 << 30
    return order
