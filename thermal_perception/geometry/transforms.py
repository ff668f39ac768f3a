"""Rigid transforms as 4x4 matrices: `p_target = T_target_source @ p_source`.

Neighbouring names match in a product: `T_world_camera = T_world_base @ T_base_camera`. tf2's
`lookup_transform(target, source)` gives the same matrix.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np

from thermal_perception.errors import GeometryError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

# A camera body (x forward, y left, z up; REP 103) to its optical frame (x right, y down,
# z forward).
T_OPTICAL_BODY: NDArray[np.float64] = np.array(
    [[0.0, -1.0, 0.0, 0.0], [0.0, 0.0, -1.0, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
)
T_OPTICAL_BODY.flags.writeable = False

# Quaternions typed by hand or sent as float32 are off by rounding; more is a mistake.
_NORM_TOLERANCE = 1e-2
_RIGID_TOLERANCE = 1e-5


def as_transform(T: ArrayLike, name: str = 'transform') -> NDArray[np.float64]:
    """Check a rigid transform.

    Args:
        T: (4, 4) matrix.
        name: what it is, for the error.

    Returns:
        (4, 4) float64.

    Raises:
        GeometryError: if it has another shape, a non-finite entry, a rotation part that is not a
            rotation, or a last row other than 0 0 0 1.
    """
    T = np.asarray(T, np.float64)
    if T.shape != (4, 4) or not np.isfinite(T).all():
        raise GeometryError(f'{name}: found shape {T.shape}, expected a finite (4, 4) matrix')
    R = T[:3, :3]
    off = max(np.abs(R @ R.T - np.eye(3)).max(), np.abs(T[3] - (0.0, 0.0, 0.0, 1.0)).max())
    if off > _RIGID_TOLERANCE or np.linalg.det(R) < 0.0:
        raise GeometryError(
            f'{name}: found determinant {np.linalg.det(R):.6g} and an error of {off:.3g}, '
            'expected a rotation and a translation'
        )
    return T


def from_rotation(R: ArrayLike, xyz_m: ArrayLike = (0.0, 0.0, 0.0)) -> NDArray[np.float64]:
    """(4, 4) transform of a (3, 3) rotation and a translation in metres."""
    T = np.eye(4)
    try:
        T[:3, :3], T[:3, 3] = R, xyz_m
    except (ValueError, TypeError) as error:
        raise GeometryError(
            f'rotation and translation: expected (3, 3) and (3,): {error}'
        ) from error
    return as_transform(T)


def from_xyz_quat(values: ArrayLike) -> NDArray[np.float64]:
    """Transform from `x, y, z, qx, qy, qz, qw`, the order of ROS messages and parameters.

    Args:
        values: (7,) metres and a unit quaternion; its length is normalised within one percent.

    Returns:
        (4, 4) float64.

    Raises:
        GeometryError: if there are not seven finite numbers or the quaternion has another length.
    """
    v = np.asarray(values, np.float64)
    if v.shape != (7,) or not np.isfinite(v).all():
        raise GeometryError(
            f'x, y, z, qx, qy, qz, qw: found {values!r}, expected 7 finite numbers'
        )
    norm = float(np.linalg.norm(v[3:]))
    if abs(norm - 1.0) > _NORM_TOLERANCE:
        raise GeometryError(f'quaternion: found length {norm:.4g} in {v.tolist()}, expected 1')
    x, y, z, w = v[3:] / norm
    R = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    return from_rotation(R, v[:3])


def to_xyz_quat(T: ArrayLike) -> NDArray[np.float64]:
    """(7,) float64 `x, y, z, qx, qy, qz, qw` of a (4, 4) transform, with qw not negative.

    Source: Shepperd's method, which divides by the largest of the four components.
    """
    T = as_transform(T)
    R, trace = T[:3, :3], float(np.trace(T[:3, :3]))
    squares = np.array([*(1.0 + 2.0 * np.diag(R) - trace), 1.0 + trace]) / 4.0  # x2 y2 z2 w2
    largest = int(np.argmax(squares))
    # Products of two components, from sums and differences of mirrored entries of R.
    products = np.empty((4, 4))
    products[np.diag_indices(4)] = squares
    for i, j in ((0, 1), (0, 2), (1, 2)):
        products[i, j] = products[j, i] = (R[i, j] + R[j, i]) / 4.0
        k = 3 - i - j
        sign = 1.0 if (j - i) == 1 else -1.0
        products[k, 3] = products[3, k] = sign * (R[j, i] - R[i, j]) / 4.0
    quaternion = products[largest] / np.sqrt(squares[largest])
    quaternion /= np.linalg.norm(quaternion) * (1.0 if quaternion[3] >= 0.0 else -1.0)
    return np.concatenate([T[:3, 3], quaternion])


def from_xyz_rpy(xyz_m: ArrayLike, rpy_rad: ArrayLike) -> NDArray[np.float64]:
    """Transform from a translation and roll, pitch, yaw about fixed x, y, z, as in URDF.

    Args:
        xyz_m: (3,) metres.
        rpy_rad: (3,) radians, applied in the order roll, pitch, yaw.
    """
    rpy = np.asarray(rpy_rad, np.float64)
    if rpy.shape != (3,) or not np.isfinite(rpy).all():
        raise GeometryError(f'roll, pitch, yaw: found {rpy_rad!r}, expected 3 finite numbers')
    (cr, cp, cy), (sr, sp, sy) = np.cos(rpy), np.sin(rpy)
    R = [
        [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
        [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
        [-sp, cp * sr, cp * cr],
    ]
    return from_rotation(R, xyz_m)


def invert(T_target_source: ArrayLike) -> NDArray[np.float64]:
    """`T_source_target` of a (4, 4) rigid transform, exact to rounding."""
    T = as_transform(T_target_source)
    R_inverse = T[:3, :3].T
    inverse = np.eye(4)
    inverse[:3, :3], inverse[:3, 3] = R_inverse, -R_inverse @ T[:3, 3]
    return inverse


def compose(*transforms: ArrayLike) -> NDArray[np.float64]:
    """Product of (4, 4) transforms: `compose(T_a_b, T_b_c)` is `T_a_c`; none give the identity."""
    return functools.reduce(np.matmul, (as_transform(T) for T in transforms), np.eye(4))


def displaced_camera(
    T_camera_world: ArrayLike, *, x_m: float, y_m: float, yaw_rad: float
) -> NDArray[np.float64]:
    """Shift a camera along x and y of the world, and turn it about the z that it stands on.

    Args:
        T_camera_world: (4, 4) world to the camera.
        x_m: shift.
        y_m: shift.
        yaw_rad: turn, counter-clockwise seen from above.

    Returns:
        (4, 4) world to the displaced camera.
    """
    T_world_camera = invert(T_camera_world)
    place = T_world_camera[:3, 3]
    there = from_xyz_rpy(place + np.array((x_m, y_m, 0.0)), (0.0, 0.0, yaw_rad))
    return invert(compose(there, from_rotation(np.eye(3), -place), T_world_camera))


def transform_points(T_target_source: ArrayLike, points_source: ArrayLike) -> NDArray[np.float64]:
    """Express points in another frame.

    Args:
        T_target_source: (4, 4).
        points_source: (N, 3) metres.

    Returns:
        (N, 3) float64 metres in the target frame.
    """
    T = as_transform(T_target_source)
    points = as_points(points_source, 3)
    return points @ T[:3, :3].T + T[:3, 3]


def as_points(points: ArrayLike, columns: int) -> NDArray[np.float64]:
    """Check an (N, columns) array and return it as float64; an empty list is (0, columns).

    Raises:
        GeometryError: if it has another shape.
    """
    array = np.asarray(points, np.float64)
    if array.size == 0 and array.ndim < 2:
        array = array.reshape(0, columns)
    if array.ndim != 2 or array.shape[1] != columns:
        raise GeometryError(f'points: found shape {array.shape}, expected (N, {columns})')
    return array
