"""Cameras, transforms and registration: numpy, no images, no models."""

from thermal_perception.geometry.boxes import boxes_in, corners_3d
from thermal_perception.geometry.camera import (
    as_intrinsics,
    Camera,
    CameraInfoLike,
    normalised_rays,
    project,
    scale_K,
    undistort_points,
    unproject,
)
from thermal_perception.geometry.registration import (
    homography_at_depth,
    parallax_residual_px,
    sampling_map,
)
from thermal_perception.geometry.rgb_to_thermal import CameraPair, RgbToThermal
from thermal_perception.geometry.transforms import (
    as_transform,
    compose,
    from_rotation,
    from_xyz_quat,
    from_xyz_rpy,
    invert,
    T_OPTICAL_BODY,
    to_xyz_quat,
    transform_points,
)

__all__ = [
    'Camera',
    'CameraInfoLike',
    'CameraPair',
    'RgbToThermal',
    'T_OPTICAL_BODY',
    'as_intrinsics',
    'as_transform',
    'boxes_in',
    'compose',
    'corners_3d',
    'from_rotation',
    'from_xyz_quat',
    'from_xyz_rpy',
    'homography_at_depth',
    'invert',
    'normalised_rays',
    'parallax_residual_px',
    'project',
    'sampling_map',
    'scale_K',
    'to_xyz_quat',
    'transform_points',
    'undistort_points',
    'unproject',
]
