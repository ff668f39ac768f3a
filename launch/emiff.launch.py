"""3D detection by a vehicle and roadside cameras.

    ros2 launch thermal_perception emiff.launch.py role:=vehicle image:=/camera/image_raw
    ros2 launch thermal_perception emiff.launch.py role:=infrastructure infra_image:=/pole/image

`role:=both` starts both nodes, for trying. Poses, keys and limits belong in the parameter files.
"""

from __future__ import annotations

from launch import LaunchDescription
from thermal_perception.launching import v2x_launch


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments and the nodes."""
    return v2x_launch()
