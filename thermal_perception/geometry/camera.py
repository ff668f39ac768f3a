"""Pinhole cameras with the distortion models of `camera_info`, in numpy.

Pixel coordinates are those of `camera_info` and OpenCV: the centre of the first pixel is (0, 0).
Boxes have it at (0.5, 0.5); add or subtract 0.5 between the two.
"""

from __future__ import annotations

from dataclasses import dataclass
import functools
from typing import Protocol, TYPE_CHECKING

import numpy as np

from thermal_perception.errors import GeometryError
from thermal_perception.geometry.transforms import as_points

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

# Fixed-point iteration converges for what lenses do; 1e-12 of the focal length is far below a px.
_UNDISTORT_STEPS = 100
_UNDISTORT_TOLERANCE = 1e-12
_UNDISTORT_ACCEPT = 1e-7
_MODELS = ('', 'plumb_bob', 'rational_polynomial')


class CameraInfoLike(Protocol):
    """sensor_msgs/CameraInfo, as far as it is used."""

    @property
    def height(self) -> int:
        """Rows."""

    @property
    def width(self) -> int:
        """Columns."""

    @property
    def distortion_model(self) -> str:
        """`plumb_bob` or `rational_polynomial`; empty without distortion."""

    @property
    def d(self) -> ArrayLike:
        """Distortion parameters."""

    @property
    def k(self) -> ArrayLike:
        """Intrinsic matrix, 9 numbers row by row."""


@dataclass(frozen=True, eq=False)
class Camera:
    """Intrinsics of one camera.

    Attributes:
        K: (3, 3) float64 intrinsics of the raw image, pixels.
        D: float64 distortion k1 k2 p1 p2 [k3 [k4 k5 k6]], of 4, 5 or 8 numbers, kept as (8,);
            empty for none.
        size: (height, width) pixels.
    """

    K: NDArray[np.float64]
    D: NDArray[np.float64]
    size: tuple[int, int]

    def __post_init__(self) -> None:
        """Check the parameters.

        Raises:
            GeometryError: if a shape or value is impossible.
        """
        object.__setattr__(self, 'K', as_intrinsics(self.K))
        object.__setattr__(self, 'D', _as_distortion(self.D))
        if min(self.size) < 1:
            raise GeometryError(f'camera: found size {self.size}, expected at least (1, 1)')

    @classmethod
    def from_camera_info(cls, msg: CameraInfoLike) -> Camera:
        """Read a camera_info message.

        Raises:
            GeometryError: if the camera is not calibrated or its distortion model is unknown.
        """
        if msg.distortion_model not in _MODELS:
            raise GeometryError(
                f'camera_info: found distortion_model {msg.distortion_model!r}, '
                'expected plumb_bob or rational_polynomial'
            )
        K = np.asarray(msg.k, np.float64)
        if K.size != 9 or not K.any():
            raise GeometryError('camera_info: k is all zeros, expected a calibrated camera')
        D = np.asarray(msg.d, np.float64).reshape(-1)
        return cls(K.reshape(3, 3), D, (int(msg.height), int(msg.width)))

    def project(self, points_cam: ArrayLike) -> NDArray[np.float64]:
        """Project (N, 3) metres of the optical frame to (N, 2) raw pixels, see `project`."""
        return project(points_cam, self.K, self.D)

    def unproject(self, points_px: ArrayLike, depth_m: ArrayLike) -> NDArray[np.float64]:
        """(N, 3) metres in the optical frame of (N, 2) raw pixels, see `unproject`."""
        return unproject(points_px, depth_m, self.K, self.D)

    def undistort_points(self, points_px: ArrayLike) -> NDArray[np.float64]:
        """(N, 2) pixels of the undistorted image with the same K, see `undistort_points`."""
        return undistort_points(points_px, self.K, self.D)

    def sees(self, points_px: ArrayLike) -> NDArray[np.bool_]:
        """(N,) bool, whether (N, 2) raw pixels lie in the image; False for NaN."""
        points = as_points(points_px, 2)
        height, width = self.size
        inside = (points >= -0.5) & (points < (width - 0.5, height - 0.5))
        return np.asarray(inside.all(axis=1))

    def resized(self, size: tuple[int, int]) -> Camera:
        """The camera of the image resized to `size` = (height, width)."""
        return Camera(scale_K(self.K, self.size, size), self.D, size)


def project(points_cam: ArrayLike, K: ArrayLike, D: ArrayLike = ()) -> NDArray[np.float64]:
    """Project points to pixels.

    Args:
        points_cam: (N, 3) metres, camera optical frame (x right, y down, z forward).
        K: (3, 3) pinhole intrinsics, pixels.
        D: distortion as in `Camera`; empty for an undistorted image.

    Returns:
        (N, 2) float64 pixels, u right and v down; NaN where z <= 0, and so far off the axis that
        the distortion polynomial folds back into the image.

    Raises:
        GeometryError: if an array has another shape, or K a value no camera has.

    Source: Hartley and Zisserman, Multiple View Geometry, chapter 6.
    """
    points, K, D = as_points(points_cam, 3), as_intrinsics(K), _as_distortion(D)
    with np.errstate(divide='ignore', invalid='ignore'):
        rays = np.where(points[:, 2:] > 0.0, points[:, :2] / points[:, 2:], np.nan)
    if D.size:
        rays = np.where(
            np.hypot(rays[:, :1], rays[:, 1:]) < _fold_radius(tuple(D)), _distort(rays, D), np.nan
        )
    return rays @ K[:2, :2].T + K[:2, 2]


def unproject(
    points_px: ArrayLike, depth_m: ArrayLike, K: ArrayLike, D: ArrayLike = ()
) -> NDArray[np.float64]:
    """Find the points that are seen at pixels, at known depths.

    Args:
        points_px: (N, 2) pixels.
        depth_m: one or (N,) z of the points in the optical frame, metres.
        K: (3, 3) pinhole intrinsics, pixels.
        D: distortion as in `Camera`.

    Returns:
        (N, 3) float64 metres, camera optical frame; NaN for pixels no ray reaches.

    Raises:
        GeometryError: if an array has another shape.
    """
    rays = normalised_rays(points_px, K, D)
    depth = np.asarray(depth_m, np.float64)
    if depth.shape not in ((), (len(rays),)):
        raise GeometryError(f'depth: found shape {depth.shape}, expected () or ({len(rays)},)')
    depth = np.broadcast_to(depth, (len(rays),))[:, None]
    return np.hstack([rays * depth, depth])


def undistort_points(points_px: ArrayLike, K: ArrayLike, D: ArrayLike) -> NDArray[np.float64]:
    """Move pixels of the raw image to where they lie without distortion.

    Args:
        points_px: (N, 2) pixels of the raw image.
        K: (3, 3) intrinsics, of the raw and of the undistorted image.
        D: distortion as in `Camera`.

    Returns:
        (N, 2) float64 pixels of the undistorted image; NaN where no ray reaches.

    Raises:
        GeometryError: if an array has another shape.
    """
    K = as_intrinsics(K)
    return normalised_rays(points_px, K, D) @ K[:2, :2].T + K[:2, 2]


def normalised_rays(points_px: ArrayLike, K: ArrayLike, D: ArrayLike = ()) -> NDArray[np.float64]:
    """(N, 2) float64 x/z and y/z of the rays through (N, 2) pixels; NaN where there is none."""
    points, K, D = as_points(points_px, 2), as_intrinsics(K), _as_distortion(D)
    distorted = (points - K[:2, 2]) @ np.linalg.inv(K[:2, :2]).T
    return _undistort(distorted, D) if D.size else distorted


def scale_K(K: ArrayLike, size: tuple[int, int], new_size: tuple[int, int]) -> NDArray[np.float64]:
    """Intrinsics of an image resized from `size` to `new_size`, both (height, width).

    The borders of the images coincide, as in `cv2.resize`, so the principal point moves by half a
    pixel more than the bare factor says: cx' = (cx + 0.5) s - 0.5.
    """
    K = as_intrinsics(K).copy()
    (height, width), (new_height, new_width) = size, new_size
    if min(*size, *new_size) < 1:
        raise GeometryError(f'scale_K: found sizes {size} and {new_size}, expected at least 1')
    scale_x, scale_y = new_width / width, new_height / height
    K[0] *= scale_x
    K[1] *= scale_y
    K[0, 2] += 0.5 * scale_x - 0.5
    K[1, 2] += 0.5 * scale_y - 0.5
    return K


def as_intrinsics(K: ArrayLike) -> NDArray[np.float64]:
    """Check an intrinsic matrix and return it as (3, 3) float64.

    Raises:
        GeometryError: if it is not (3, 3), finite, with positive focal lengths and the last row
            0 0 1.
    """
    K = np.asarray(K, np.float64)
    if K.shape != (3, 3) or not np.isfinite(K).all():
        raise GeometryError(f'K: found shape {K.shape}, expected a finite (3, 3) matrix')
    if K[0, 0] <= 0.0 or K[1, 1] <= 0.0 or K[1, 0] != 0.0 or K[2].tolist() != [0.0, 0.0, 1.0]:
        raise GeometryError(
            f'K: found {K.tolist()}, expected [[fx, s, cx], [0, fy, cy], [0, 0, 1]], fx and fy > 0'
        )
    return K


def _as_distortion(D: ArrayLike) -> NDArray[np.float64]:
    """Return k1 k2 p1 p2 k3 k4 k5 k6 as (8,) float64, or (0,) without distortion."""
    D = np.asarray(D, np.float64).reshape(-1)
    known, rest = D[:8], D[8:]
    if D.size not in (0, 4, 5, 8, 12, 14) or not np.isfinite(D).all() or rest.any():
        raise GeometryError(
            f'D: found {D.tolist()}, expected 0, 4, 5 or 8 finite numbers (plumb_bob or '
            'rational_polynomial)'
        )
    return np.pad(known, (0, 8 - known.size)) if known.any() else np.empty(0)


def _distort(rays: NDArray[np.float64], D: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ideal (N, 2) rays to those the lens makes of them."""
    radial, tangential = _distortion_at(rays, D)
    return rays * radial + tangential


def _distortion_at(
    rays: NDArray[np.float64], D: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Radial factor (N, 1) and tangential shift (N, 2).

    Source: OpenCV, camera calibration and 3D reconstruction, the pinhole model.
    """
    k1, k2, p1, p2, k3, k4, k5, k6 = D
    x, y = rays[:, :1], rays[:, 1:]
    s = x * x + y * y
    radial = (1.0 + s * (k1 + s * (k2 + s * k3))) / (1.0 + s * (k4 + s * (k5 + s * k6)))
    tangential = np.hstack(
        [
            2.0 * p1 * x * y + p2 * (s + 2.0 * x * x),
            p1 * (s + 2.0 * y * y) + 2.0 * p2 * x * y,
        ]
    )
    return radial, tangential


def _undistort(distorted: NDArray[np.float64], D: NDArray[np.float64]) -> NDArray[np.float64]:
    """Invert `_distort` by fixed-point iteration; NaN where it finds no ray inside the fold."""
    rays = distorted.copy()
    with np.errstate(all='ignore'):
        for _ in range(_UNDISTORT_STEPS):
            radial, tangential = _distortion_at(rays, D)
            moved = (distorted - tangential) / radial
            done = np.nanmax(np.abs(moved - rays), initial=0.0) < _UNDISTORT_TOLERANCE
            rays = moved
            if done:
                break
        error = np.abs(_distort(rays, D) - distorted).max(axis=1, keepdims=True)
        radius = np.hypot(rays[:, :1], rays[:, 1:])
        found = (error < _UNDISTORT_ACCEPT) & (radius < _fold_radius(tuple(D)))
    return np.where(found, rays, np.nan)


@functools.lru_cache(maxsize=64)
def _fold_radius(D: tuple[float, ...]) -> float:
    """Radius from which the radial polynomial no longer grows: rays beyond it fold back.

    With s = r^2 the distorted radius is r N(s) / M(s); its slope is zero where
    (N + 2 s N') M - 2 s N M' is. Infinite if it never is.
    """
    k1, k2, _, _, k3, k4, k5, k6 = D
    N, M = np.polynomial.Polynomial([1.0, k1, k2, k3]), np.polynomial.Polynomial([1.0, k4, k5, k6])
    two_s = np.polynomial.Polynomial([0.0, 2.0])
    slope = (N + two_s * N.deriv()) * M - two_s * N * M.deriv()
    roots = np.concatenate([slope.trim().roots(), M.trim().roots()])
    real = roots[np.abs(roots.imag) < 1e-9].real
    return float(np.sqrt(min(real[real > 0.0], default=np.inf)))
