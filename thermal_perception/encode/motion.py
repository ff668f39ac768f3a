"""Cameras, moving bases and 3D boxes as messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geometry_msgs.msg import Point, Pose, Quaternion, Twist, Vector3
from nav_msgs.msg import Odometry
import numpy as np
from sensor_msgs.msg import CameraInfo
from vision_msgs.msg import (
    BoundingBox3D,
    Detection3D,
    Detection3DArray,
    ObjectHypothesis,
    ObjectHypothesisWithPose,
)

from thermal_perception.encode.header import to_header

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from thermal_perception.types import Boxes3D


def to_camera_info(
    K: NDArray[np.float64],
    size: tuple[int, int],
    *,
    stamp_ns: int,
    frame_id: str,
    D: Sequence[float] = (0.0, 0.0, 0.0, 0.0, 0.0),
) -> CameraInfo:
    """Describe one unrectified camera.

    Args:
        K: (3, 3) intrinsics, pixels; the centre of the first pixel is (0, 0).
        size: (height, width) of the image, pixels.
        stamp_ns: stamp of the image.
        frame_id: optical frame of the camera.
        D: `plumb_bob` distortion k1 k2 p1 p2 k3.
    """
    return CameraInfo(
        header=to_header(stamp_ns, frame_id),
        height=size[0],
        width=size[1],
        distortion_model='plumb_bob',
        d=[float(value) for value in D],
        k=np.asarray(K, np.float64).ravel(),
        r=np.eye(3).ravel(),
        p=np.column_stack([K, np.zeros(3)]).ravel(),
    )


def to_odometry(
    xyz_quat: NDArray[np.float64],
    *,
    linear_mps: NDArray[np.float64],
    angular_radps: NDArray[np.float64],
    stamp_ns: int,
    world_frame: str,
    base_frame: str,
) -> Odometry:
    """Encode pose and twist of a base.

    Args:
        xyz_quat: (7,) `x, y, z, qx, qy, qz, qw` of T_world_base.
        linear_mps: (3,) velocity in the base frame.
        angular_radps: (3,) turn rate in the base frame.
        stamp_ns: when it was there.
        world_frame: name of the world frame.
        base_frame: name of the base frame.
    """
    message = Odometry(header=to_header(stamp_ns, world_frame), child_frame_id=base_frame)
    message.pose.pose = to_pose(xyz_quat)
    message.twist.twist = Twist(linear=to_vector(linear_mps), angular=to_vector(angular_radps))
    return message


def to_detection3d_array(boxes: Boxes3D) -> Detection3DArray:
    """Encode upright boxes: centre, heading and size = (length, width, height) in `frame_id`."""
    header = to_header(boxes.stamp_ns, boxes.frame_id)
    detections = []
    for centre, size, yaw, score, label, track in zip(
        boxes.centres_m, boxes.sizes_m, boxes.yaws_rad, boxes.scores, boxes.labels, boxes.track_ids
    ):
        pose = to_pose([*centre, 0.0, 0.0, np.sin(yaw / 2), np.cos(yaw / 2)])
        result = ObjectHypothesisWithPose(
            hypothesis=ObjectHypothesis(class_id=boxes.class_names[int(label)], score=float(score))
        )
        result.pose.pose = pose
        detections.append(
            Detection3D(
                header=header,
                results=[result],
                bbox=BoundingBox3D(center=pose, size=to_vector(size)),
                id=str(track) if track >= 0 else '',
            )
        )
    return Detection3DArray(header=header, detections=detections)


def to_pose(xyz_quat: Sequence[float] | NDArray[np.float64]) -> Pose:
    """Encode `x, y, z, qx, qy, qz, qw`."""
    x, y, z, qx, qy, qz, qw = (float(value) for value in xyz_quat)
    return Pose(position=Point(x=x, y=y, z=z), orientation=Quaternion(x=qx, y=qy, z=qz, w=qw))


def to_vector(xyz: NDArray[np.float64]) -> Vector3:
    """Encode (3,) numbers."""
    x, y, z = (float(value) for value in xyz)
    return Vector3(x=x, y=y, z=z)
