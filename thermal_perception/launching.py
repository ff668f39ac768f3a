"""The launch description of a node that perceives; the launch files of all systems use it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

from launch import LaunchDescription

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from launch import LaunchContext

PACKAGE = 'thermal_perception'
_DDS_PROFILE = (
    'Fast DDS profile: large_images (64 MiB of shared memory), none, or the path of an XML file; '
    'FASTDDS_DEFAULT_PROFILES_FILE in the environment wins'
)
_BACKEND = (
    'torch, cuda_graph, torch_compile, openvino, onnxruntime, tensorrt or auto; empty leaves it '
    'to the parameter file'
)
_CAMERAS = {'thermal': 'thermal', 'rgb': 'colour'}
_ROLES = {
    'vehicle': ('vehicle',),
    'infrastructure': ('infrastructure',),
    'both': ('infrastructure', 'vehicle'),
}
_COMMON = (
    ('namespace', '', 'Namespace of the node and its topics'),
    ('device', '', 'auto, cpu, cuda or cuda:N; empty leaves it to the parameter file'),
    ('backend', '', _BACKEND),
    ('checkpoint', '', 'Weights file (.safetensors); empty leaves it to the parameter file'),
    ('dds_profile', 'large_images', _DDS_PROFILE),
    ('use_sim_time', 'false', 'Take the time from /clock'),
    ('log_level', 'info', 'debug, info, warn, error or fatal'),
)


def perception_launch(executable: str, *, cameras: Sequence[str]) -> LaunchDescription:
    """Return the arguments and the node.

    Args:
        executable: the node, as `ros2 run` knows it; its parameter file is `config/NAME.yaml`.
        cameras: what it looks at, of `thermal` and `rgb`.
    """

    def compose(context: LaunchContext) -> list[Node]:
        return [_make_node(context, executable, cameras)]

    arguments = _arguments(executable, cameras)
    return LaunchDescription([*arguments, OpaqueFunction(function=compose)])


def v2x_launch() -> LaunchDescription:
    """Return the arguments and the nodes of EMIFF, at the roadside, in the vehicle, or both."""

    def compose(context: LaunchContext) -> list[Node]:
        role = LaunchConfiguration('role').perform(context)
        if role not in _ROLES:
            raise ValueError(f'role: found {role!r}, expected {", ".join(_ROLES)}')
        return [_make_v2x_node(context, side) for side in _ROLES[role]]

    return LaunchDescription([*_v2x_arguments(), OpaqueFunction(function=compose)])


def _v2x_arguments() -> Iterator[DeclareLaunchArgument]:
    for side in _ROLES['both']:
        yield DeclareLaunchArgument(
            f'{side}_params',
            default_value=PathJoinSubstitution(
                [FindPackageShare(PACKAGE), 'config', f'emiff_{side}.yaml']
            ),
            description=f'YAML file of ROS parameters of emiff_{side}; the file shipped lists all',
        )
    for name, default, text in (
        ('role', 'both', 'vehicle, infrastructure or both'),
        ('image', 'rgb/image_raw', "Image topic of the vehicle's camera, without /compressed"),
        ('infra_image', 'infra/rgb/image_raw', 'The same of the roadside camera'),
        ('odometry', 'ego/odometry', 'Where the vehicle is in the world frame'),
        ('features', 'infra/features', 'What the roadside sends and the vehicle hears'),
        *_COMMON,
    ):
        yield DeclareLaunchArgument(name, default_value=default, description=text)


def _make_v2x_node(context: LaunchContext, side: str) -> Node:
    def value(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    image = value('image' if side == 'vehicle' else 'infra_image')
    remappings = [('rgb/image_raw', image), ('rgb/camera_info', _sibling(image, 'camera_info'))]
    if side == 'vehicle':
        remappings += [('ego/odometry', value('odometry')), ('infra/features', value('features'))]
    else:
        remappings.append(('~/features', value('features')))
    given = _given(value)
    return Node(
        package=PACKAGE,
        executable=f'emiff_{side}',
        namespace=value('namespace'),
        parameters=[
            value(f'{side}_params'),
            {'use_sim_time': value('use_sim_time').lower() == 'true', **given},
        ],
        remappings=remappings,
        ros_arguments=['--log-level', value('log_level')],
        additional_env={'THERMAL_PERCEPTION_DDS_PROFILE': value('dds_profile')},
        output='screen',
    )


def _arguments(executable: str, cameras: Sequence[str]) -> Iterator[DeclareLaunchArgument]:
    yield DeclareLaunchArgument(
        'params_file',
        default_value=PathJoinSubstitution(
            [FindPackageShare(PACKAGE), 'config', f'{executable}.yaml']
        ),
        description='YAML file of ROS parameters; the file shipped lists all with their defaults',
    )
    for camera in cameras:
        yield DeclareLaunchArgument(
            f'{camera}_image',
            default_value=f'{camera}/image_raw',
            description=f'Image topic of the {_CAMERAS[camera]} camera driver, '
            'without /compressed',
        )
        yield DeclareLaunchArgument(
            f'{camera}_camera_info',
            default_value='',
            description=f'camera_info topic of the driver; empty takes the sibling of '
            f'{camera}_image',
        )
    for name, default, text in (
        ('name', executable, 'Name of the node'),
        *_COMMON,
    ):
        yield DeclareLaunchArgument(name, default_value=default, description=text)


def _make_node(context: LaunchContext, executable: str, cameras: Sequence[str]) -> Node:
    """Compose the node."""

    def value(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    given = _given(value)
    remappings = []
    for camera in cameras:
        image = value(f'{camera}_image')
        camera_info = value(f'{camera}_camera_info') or _sibling(image, 'camera_info')
        remappings += [(f'{camera}/image_raw', image), (f'{camera}/camera_info', camera_info)]
    return Node(
        package=PACKAGE,
        executable=executable,
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


def _given(value: Callable[[str], str]) -> dict[str, str]:
    """Return the parameters that an argument sets; one left empty leaves them to the file."""
    return {name: value(name) for name in ('device', 'backend', 'checkpoint') if value(name)}


def _sibling(topic: str, name: str) -> str:
    """Return the topic `name` beside another one, as image_transport finds camera_info."""
    parent, slash, _ = topic.rpartition('/')
    return f'{parent}{slash}{name}'
