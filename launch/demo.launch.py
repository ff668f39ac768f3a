"""Start simulated cameras and the thermal detector together."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, SetEnvironmentVariable
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

_SHARE = FindPackageShare('thermal_perception')

ARGUMENTS = (
    ('preset', 'road', 'road: a vehicle in a street; aerial: a drone looking down.'),
    ('condition', 'night', 'day, dusk, night, fog or glare.'),
    ('seed', '1000003', 'Layout, looks and motion of the world.'),
    ('rate_hz', '10.0', 'Images per second.'),
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
    """Declare the arguments, start the cameras and include the detector's launch file."""
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=text)
        for name, default, text in ARGUMENTS
    ]
    value = {name: LaunchConfiguration(name) for name, _, _ in ARGUMENTS}
    cameras = Node(
        package='thermal_perception',
        executable='simulated_cameras',
        name='simulated_cameras',
        parameters=[
            PathJoinSubstitution([_SHARE, 'config', 'simulated_cameras.yaml']),
            {
                'preset': ParameterValue(value['preset'], value_type=str),
                'condition': ParameterValue(value['condition'], value_type=str),
                'seed': ParameterValue(value['seed'], value_type=int),
                'rate_hz': ParameterValue(value['rate_hz'], value_type=float),
                'publish_rgb': False,
            },
        ],
        arguments=['--ros-args', '--log-level', value['log_level']],
        output='screen',
    )
    detector = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(
            PathJoinSubstitution([_SHARE, 'launch', 'fusion_detr.launch.py'])
        ),
        launch_arguments={
            name: value[name] for name in ('checkpoint', 'device', 'dds_profile', 'log_level')
        }.items(),
    )
    profile = SetEnvironmentVariable('THERMAL_PERCEPTION_DDS_PROFILE', value['dds_profile'])
    return LaunchDescription([*declared, profile, cameras, detector])
