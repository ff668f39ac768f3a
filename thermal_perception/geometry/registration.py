"""Register two displaced cameras, which is exact at one depth only.

Points at another depth Z than the registration depth Z0 are off by f B |1/Z - 1/Z0| pixels, where
f is the focal length of the RGB camera in pixels and B the baseline across the view, in metres.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from thermal_perception.errors import GeometryError
from thermal_perception.geometry.camera import as_intrinsics, Camera, normalised_rays
from thermal_perception.geometry.transforms import as_transform

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def homography_at_depth(
    K_thermal: ArrayLike, K_rgb: ArrayLike, T_rgb_thermal: ArrayLike, depth_m: float
) -> NDArray[np.float64]:
    """Homography from thermal to RGB pixels for the plane z = `depth_m` of the thermal camera.

    `cv2.warpPerspective(rgb, H, (width, height), flags=cv2.WARP_INVERSE_MAP)` brings an RGB image
    onto the thermal one; boxes go the other way with the inverse. Both images are undistorted.

    Args:
        K_thermal: (3, 3) intrinsics, pixels.
        K_rgb: (3, 3) intrinsics, pixels.
        T_rgb_thermal: (4, 4), `p_rgb = T_rgb_thermal @ p_thermal`, metres; the inverse of the
            parameter `T_thermal_rgb`.
        depth_m: distance of the plane; infinity leaves the rotation alone.

    Returns:
        (3, 3) float64 with H[2, 2] = 1: `(u_rgb, v_rgb, 1) ~ H @ (u_thermal, v_thermal, 1)`.

    Raises:
        GeometryError: if an input is malformed, the depth is not positive, or the plane passes
            through the RGB camera.

    Source: Hartley and Zisserman, Multiple View Geometry, chapter 13.
    """
    K_thermal, K_rgb = as_intrinsics(K_thermal), as_intrinsics(K_rgb)
    T = as_transform(T_rgb_thermal, 'T_rgb_thermal')
    _check_depth(depth_m)
    plane = T[:3, :3] + np.outer(T[:3, 3] / depth_m, [0.0, 0.0, 1.0])
    H = K_rgb @ plane @ np.linalg.inv(K_thermal)
    if abs(np.linalg.det(plane)) < 1e-9 or abs(H[2, 2]) < 1e-12:
        raise GeometryError(
            f'homography: the plane at {depth_m} m passes through the RGB camera, whose position '
            f'is {np.round(-T[:3, :3].T @ T[:3, 3], 3).tolist()} m'
        )
    return np.asarray(H / H[2, 2])


def sampling_map(
    thermal: Camera, rgb: Camera, T_rgb_thermal: ArrayLike, depth_m: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Where to look in the raw RGB image for each raw thermal pixel, with both distortions.

    `cv2.remap(rgb, *maps, cv2.INTER_LINEAR)` brings a raw RGB image onto the raw thermal one.

    Args:
        thermal: thermal camera.
        rgb: RGB camera.
        T_rgb_thermal: (4, 4), `p_rgb = T_rgb_thermal @ p_thermal`, metres.
        depth_m: z in the thermal camera at which the registration is exact; may be infinite.

    Returns:
        Columns and rows, each (H, W) float32 of the thermal size; -1 (outside, so black) where RGB
        sees nothing.

    Raises:
        GeometryError: if the transform is malformed or the depth is not positive.
    """
    T = as_transform(T_rgb_thermal, 'T_rgb_thermal')
    _check_depth(depth_m)
    v, u = np.indices(thermal.size).reshape(2, -1)
    rays = normalised_rays(np.column_stack([u, v]), thermal.K, thermal.D)
    # A point at depth d is d times its direction; dividing by d keeps infinity finite.
    directions = np.column_stack([rays, np.ones(len(rays))])
    points = directions @ T[:3, :3].T + T[:3, 3] / depth_m
    pixels = rgb.project(points)
    pixels[~rgb.sees(pixels)] = -1.0
    columns, rows = pixels.T.astype(np.float32).reshape(2, *thermal.size)
    return columns, rows


def parallax_residual_px(
    focal_px: float, baseline_m: float, registration_depth_m: float, depth_m: ArrayLike
) -> NDArray[np.float64]:
    """Misregistration f B |1/Z - 1/Z0| of points that are not at the registration depth.

    Args:
        focal_px: focal length of the RGB camera, pixels.
        baseline_m: distance between the cameras across the view, metres.
        registration_depth_m: Z0, metres; may be infinite.
        depth_m: Z of the points, any shape, metres.

    Returns:
        Pixels of the RGB image, float64, of the shape of `depth_m`.

    Raises:
        GeometryError: if a depth is not positive.
    """
    depth = np.asarray(depth_m, np.float64)
    _check_depth(registration_depth_m)
    if not (depth > 0.0).all():
        raise GeometryError(f'depth: found {depth.tolist()}, expected above 0')
    return np.asarray(focal_px * baseline_m * np.abs(1.0 / depth - 1.0 / registration_depth_m))


def _check_depth(depth_m: float) -> None:
    if not depth_m > 0.0:
        raise GeometryError(f'registration depth: found {depth_m} m, expected above 0')
