"""Simulated cameras and the detector that watches them, in two processes.

    ros2 launch thermal_perception demo.launch.py preset:=aerial condition:=day

See the result with `ros2 topic echo /fusion_detr/detections` or `rqt_image_view
/fusion_detr/overlay`.
"""

from __future__ import annotations

from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

from launch import LaunchDescription

PACKAGE = 'thermal_perception'

# Name, type, default and meaning of the arguments that become parameters of the cameras.
CAMERAS = (
    ('preset', str, 'road', 'road: cameras on a vehicle; aerial: below a drone'),
    ('condition', str, 'night', 'day, dusk, night, fog or glare'),
    ('seed', int, '20001', 'Another number is another world'),
    ('rate_hz', float, '10.0', 'Images per second'),
    ('bits', int, '8', 'Depth of the thermal image, 8 or 16'),
    ('publish_rgb', bool, 'false', 'Also simulate the colour camera'),
)
# Arguments handed on to fusion_detr.launch.py, which knows more.
DETECTOR = (
    ('namespace', '', 'Namespace of both nodes and their topics'),
    ('checkpoint', '', 'Weights file (.safetensors); empty takes the shipped ones'),
    ('device', '', 'auto, cpu, cuda or cuda:N; empty takes auto'),
    ('dds_profile', 'large_images', 'large_images, none, or the path of a Fast DDS profile'),
    ('log_level', 'info', 'debug, info, warn, error or fatal'),
)


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments and the two nodes."""
    share = FindPackageShare(PACKAGE)
    arguments = [
        *((name, default, text) for name, _, default, text in CAMERAS),
        *DETECTOR,
    ]
    cameras = Node(
        package=PACKAGE,
        executable='simulated_cameras',
        name='simulated_cameras',
        namespace=LaunchConfiguration('namespace'),
        parameters=[
            PathJoinSubstitution([share, 'config', 'simulated_cameras.yaml']),
            {
                name: ParameterValue(LaunchConfiguration(name), value_type=kind)
                for name, kind, _, _ in CAMERAS
            },
        ],
        ros_arguments=['--log-level', LaunchConfiguration('log_level')],
        additional_env={'THERMAL_PERCEPTION_DDS_PROFILE': LaunchConfiguration('dds_profile')},
        output='screen',
    )
    detector = IncludeLaunchDescription(
        PathJoinSubstitution([share, 'launch', 'fusion_detr.launch.py']),
        launch_arguments=[(name, LaunchConfiguration(name)) for name, _, _ in DETECTOR],
    )
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(name, default_value=default, description=text)
                for name, default, text in arguments
            ),
            cameras,
            detector,
        ]
    )
