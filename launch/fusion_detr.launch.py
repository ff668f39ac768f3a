"""Detect people, bicycles and vehicles in the images of a thermal camera.

    ros2 launch thermal_perception fusion_detr.launch.py thermal_image:=/boson/image_raw

One process, no container. The camera driver is yours: tell it about the DDS profile too, see
`config/dds/fastdds_large_images.xml`.
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
            [FindPackageShare(PACKAGE), 'config', 'fusion_detr.yaml']
        ),
        description='YAML file of ROS parameters; the file shipped lists all with their defaults',
    ),
    DeclareLaunchArgument(
        'namespace', default_value='', description='Namespace of the node and its topics'
    ),
    DeclareLaunchArgument('name', default_value='fusion_detr', description='Name of the node'),
    DeclareLaunchArgument(
        'thermal_image',
        default_value='thermal/image_raw',
        description='Image topic of the camera driver, without /compressed',
    ),
    DeclareLaunchArgument(
        'thermal_camera_info',
        default_value='',
        description='camera_info topic of the driver; empty takes the sibling of thermal_image',
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
    image = value('thermal_image')
    camera_info = value('thermal_camera_info') or _sibling(image, 'camera_info')
    return [
        Node(
            package=PACKAGE,
            executable='fusion_detr',
            name=value('name'),
            namespace=value('namespace'),
            parameters=[
                value('params_file'),
                {'use_sim_time': value('use_sim_time').lower() == 'true', **given},
            ],
            remappings=[('thermal/image_raw', image), ('thermal/camera_info', camera_info)],
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
