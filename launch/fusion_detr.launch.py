"""Start the thermal detector `fusion_detr` for one camera."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, SetEnvironmentVariable
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

_SHARE = FindPackageShare('thermal_perception')

ARGUMENTS = (
    ('namespace', '', 'Namespace of the node and its topics.'),
    (
        'params_file',
        PathJoinSubstitution([_SHARE, 'config', 'fusion_detr.yaml']),
        'YAML file with the parameters of the node.',
    ),
    ('image', 'thermal/image_raw', 'Topic of the thermal camera; also without /compressed.'),
    ('camera_info', 'thermal/camera_info', 'Camera info that belongs to it.'),
    ('checkpoint', '', 'Weights file (.safetensors); empty takes the shipped ones.'),
    ('device', 'auto', 'Where the network runs: auto, cpu, cuda or cuda:N.'),
    (
        'dds_profile',
        'large_images',
        'Fast DDS profile: large_images (64 MiB of shared memory), none, or an XML file.',
    ),
    ('log_level', 'info', 'debug, info, warn, error or fatal.'),
)


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments and start the node."""
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=text)
        for name, default, text in ARGUMENTS
    ]
    value = {name: LaunchConfiguration(name) for name, _, _ in ARGUMENTS}
    node = Node(
        package='thermal_perception',
        executable='fusion_detr',
        name='fusion_detr',
        namespace=value['namespace'],
        parameters=[
            value['params_file'],
            {
                'checkpoint': ParameterValue(value['checkpoint'], value_type=str),
                'device': ParameterValue(value['device'], value_type=str),
            },
        ],
        remappings=[
            ('thermal/image_raw', value['image']),
            ('thermal/camera_info', value['camera_info']),
        ],
        arguments=['--ros-args', '--log-level', value['log_level']],
        output='screen',
    )
    profile = SetEnvironmentVariable('THERMAL_PERCEPTION_DDS_PROFILE', value['dds_profile'])
    return LaunchDescription([*declared, profile, node])
