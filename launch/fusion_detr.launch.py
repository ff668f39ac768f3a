"""Detect people, bicycles and vehicles in the images of a thermal camera.

    ros2 launch thermal_perception fusion_detr.launch.py thermal_image:=/boson/image_raw

One process, no container. The camera driver is yours: tell it about the DDS profile too, see
`config/dds/fastdds_large_images.xml`.
"""

from __future__ import annotations

from launch import LaunchDescription
from thermal_perception.launching import perception_launch


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments and the node."""
    return perception_launch('fusion_detr', cameras=('thermal',))
