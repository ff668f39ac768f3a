"""Tell the class of every pixel of a thermal camera, with a colour camera beside it.

    ros2 launch thermal_perception rgbt_segmentation.launch.py rgb_image:=/camera/image_raw

One process, no container. The camera drivers are yours: tell them about the DDS profile too, see
`config/dds/fastdds_large_images.xml`. How the cameras sit to each other belongs in `params_file`.
"""

from __future__ import annotations

from launch import LaunchDescription
from thermal_perception.launching import perception_launch


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments and the node."""
    return perception_launch('rgbt_segmentation', cameras=('thermal', 'rgb'))
