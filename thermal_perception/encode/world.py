"""What a vehicle knows of cameras, its own motion and solid objects, as messages."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from geometry_msgs.msg import Quaternion, Vector3
from nav_msgs.msg import Odometry
import numpy as np
from sensor_msgs.msg import CameraInfo
from vision_msgs.msg import Detection3D, Detection3DArray, ObjectHypothesisWithPose

from thermal_perception.encode.header import to_header
from thermal_perception.geometry.transforms import to_xyz_quat

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thermal_perception.types import Boxes3D


def to_camera_info(
    K: NDArray[np.float64], size: tuple[int, int], *, stamp_ns: int, frame_id: str
) -> CameraInfo:
    """Describe an undistorted pinhole camera of (height, width) with (3, 3) intrinsics."""
    msg = CameraInfo(header=to_header(stamp_ns, frame_id))
    msg.height, msg.width = size
    msg.distortion_model = 'plumb_bob'
    msg.d = [0.0] * 5
    msg.k = K.astype(float).ravel().tolist()
    msg.r = np.eye(3).ravel().tolist()
    msg.p = np.column_stack((K, np.zeros(3))).astype(float).ravel().tolist()
    return msg


def to_odometry(
    T_world_base: NDArray[np.float64],
    linear_mps: NDArray[np.float64],
    angular_radps: NDArray[np.float64],
    *,
    stamp_ns: int,
    world_frame: str,
    base_frame: str,
) -> Odometry:
    """Encode pose (4, 4) in the world and twist (3,), (3,) in the base frame."""
    msg = Odometry(header=to_header(stamp_ns, world_frame), child_frame_id=base_frame)
    x, y, z, qx, qy, qz, qw = to_xyz_quat(T_world_base).tolist()
    position = msg.pose.pose.position
    position.x, position.y, position.z = x, y, z
    msg.pose.pose.orientation = Quaternion(x=qx, y=qy, z=qz, w=qw)
    msg.twist.twist.linear = _vector(linear_mps)
    msg.twist.twist.angular = _vector(angular_radps)
    return msg


def to_detection3d_array(boxes: Boxes3D) -> Detection3DArray:
    """Encode upright boxes; size is (length, width, height), `id` the track where it is known."""
    header = to_header(boxes.stamp_ns, boxes.frame_id)
    return Detection3DArray(
        header=header, detections=[_detection3d(boxes, i, header) for i in range(len(boxes))]
    )


def _detection3d(boxes: Boxes3D, index: int, header: object) -> Detection3D:
    msg = Detection3D(header=header)
    msg.bbox.center.position.x, msg.bbox.center.position.y, msg.bbox.center.position.z = (
        boxes.centres_m[index].tolist()
    )
    half_yaw = float(boxes.yaws_rad[index]) / 2
    msg.bbox.center.orientation = Quaternion(z=math.sin(half_yaw), w=math.cos(half_yaw))
    msg.bbox.size = _vector(boxes.sizes_m[index])
    result = ObjectHypothesisWithPose()
    result.hypothesis.class_id = boxes.class_names[boxes.labels[index]]
    result.hypothesis.score = float(boxes.scores[index])
    msg.results = [result]
    track = int(boxes.track_ids[index])
    msg.id = str(track) if track >= 0 else ''
    return msg


def _vector(values: NDArray[np.float64]) -> Vector3:
    x, y, z = (float(v) for v in values)
    return Vector3(x=x, y=y, z=z)
