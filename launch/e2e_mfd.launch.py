"""Fuse the images of a thermal and a colour camera, and detect objects in both.

    ros2 launch thermal_perception e2e_mfd.launch.py rgb_image:=/camera/image_raw

One process, no container. The camera drivers are yours: tell them about the DDS profile too, see
`config/dds/fastdds_large_images.xml`. How the cameras sit to each other belongs in `params_file`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

from launch import LaunchDescription

if TYPE_CHECKING:
    from launch import LaunchContext

PACKAGE = 'thermal_perception'

ARGUMENTS = (
    DeclareLaunchArgument(
        'params_file',
        default_value=PathJoinSubstitution(
            [FindPackageShare(PACKAGE), 'config', 'e2e_mfd.yaml']
        ),
        description='YAML file of ROS parameters; the file shipped lists all with their defaults',
    ),
    DeclareLaunchArgument(
        'namespace', default_value='', description='Namespace of the node and its topics'
    ),
    DeclareLaunchArgument('name', default_value='e2e_mfd', description='Name of the node'),
    DeclareLaunchArgument(
        'thermal_image',
        default_value='thermal/image_raw',
        description='Image topic of the thermal camera driver, without /compressed',
    ),
    DeclareLaunchArgument(
        'thermal_camera_info',
        default_value='',
        description='camera_info topic of the driver; empty takes the sibling of thermal_image',
    ),
    DeclareLaunchArgument(
        'rgb_image',
        default_value='rgb/image_raw',
        description='Image topic of the colour camera driver, without /compressed',
    ),
    DeclareLaunchArgument(
        'rgb_camera_info',
        default_value='',
        description='camera_info topic of the driver; empty takes the sibling of rgb_image',
    ),
    DeclareLaunchArgument(
        'device',
        default_value='',
        description='auto, cpu, cuda or cuda:N; empty leaves it to params_file',
    ),
    DeclareLaunchArgument(
        'checkpoint',
        default_value='',
        description='Weights file (.safetensors); empty leaves it to params_file',
    ),
    DeclareLaunchArgument(
        'dds_profile',
        default_value='large_images',
        description='Fast DDS profile: large_images (64 MiB of shared memory), none, or the path '
        'of an XML file; FASTDDS_DEFAULT_PROFILES_FILE in the environment wins',
    ),
    DeclareLaunchArgument(
        'use_sim_time', default_value='false', description='Take the time from /clock'
    ),
    DeclareLaunchArgument(
        'log_level', default_value='info', description='debug, info, warn, error or fatal'
    ),
)


def make_node(context: LaunchContext) -> list[Node]:
    """Compose the node; arguments left empty do not override the parameter file."""

    def value(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    given = {name: value(name) for name in ('device', 'checkpoint') if value(name)}
    remappings = []
    for camera in ('thermal', 'rgb'):
        image = value(f'{camera}_image')
        camera_info = value(f'{camera}_camera_info') or _sibling(image, 'camera_info')
        remappings += [(f'{camera}/image_raw', image), (f'{camera}/camera_info', camera_info)]
    return [
        Node(
            package=PACKAGE,
            executable='e2e_mfd',
            name=value('name'),
            namespace=value('namespace'),
            parameters=[
                value('params_file'),
                {'use_sim_time': value('use_sim_time').lower() == 'true', **given},
            ],
            remappings=remappings,
            ros_arguments=['--log-level', value('log_level')],
            additional_env={'THERMAL_PERCEPTION_DDS_PROFILE': value('dds_profile')},
            output='screen',
        )
    ]


def _sibling(topic: str, name: str) -> str:
    """Return the topic `name` beside another one, as image_transport finds camera_info."""
    parent, slash, _ = topic.rpartition('/')
    return f'{parent}{slash}{name}'


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments and the node."""
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=make_node)])
