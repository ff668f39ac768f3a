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
_MOST_CAMERAS = 6
_SEVERAL = (
    'So many nodes in one process that share one network, 1 to 6, each below a namespace of its '
    'own: camera_0, camera_1, ...'
)
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
            'without /compressed; with cameras:=N a relative one, or N with commas between',
        )
        yield DeclareLaunchArgument(
            f'{camera}_camera_info',
            default_value='',
            description=f'camera_info topic of the driver; empty takes the sibling of '
            f'{camera}_image, as always with several cameras',
        )
    for name, default, text in (
        ('name', executable, 'Name of the node'),
        ('cameras', '1', _SEVERAL),
        *_COMMON,
    ):
        yield DeclareLaunchArgument(name, default_value=default, description=text)


def _make_node(context: LaunchContext, executable: str, cameras: Sequence[str]) -> Node:
    """Compose the node."""

    def value(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    number = number_of_cameras(value('cameras'))
    remappings = []
    for camera in cameras:
        images, info = value(f'{camera}_image'), value(f'{camera}_camera_info')
        if number == 1:
            remappings += _of_driver(camera, images, info)
        else:
            above = context.launch_configurations.get('ros_namespace', '')
            folders = camera_folders(above, value('namespace'), number)
            remappings += of_drivers(camera, images.split(','), folders)
    named = ['-r', f'__node:={value("name")}']
    return Node(
        package=PACKAGE,
        executable=executable,
        # With a name launch addresses the parameters to a node right in the namespace.
        name=value('name') if number == 1 else None,
        namespace=value('namespace'),
        parameters=[
            value('params_file'),
            {'use_sim_time': value('use_sim_time').lower() == 'true', **_given(value)},
        ],
        remappings=remappings,
        arguments=[] if number == 1 else ['--cameras', str(number)],
        ros_arguments=['--log-level', value('log_level'), *([] if number == 1 else named)],
        additional_env={'THERMAL_PERCEPTION_DDS_PROFILE': value('dds_profile')},
        output='screen',
    )


def number_of_cameras(text: str) -> int:
    """Return how many nodes there are to be.

    Raises:
        ValueError: if it is no number from 1 to 6.
    """
    if not text.isdecimal() or not 1 <= int(text) <= _MOST_CAMERAS:
        raise ValueError(f'cameras: found {text!r}, expected 1 to {_MOST_CAMERAS}')
    return int(text)


def camera_folders(above: str, namespace: str, number: int) -> list[str]:
    """Return the namespaces of several nodes; `above` is that of a group they are launched in."""
    whole = namespace if namespace.startswith('/') else f'{above}/{namespace}'
    names = [name for name in whole.split('/') if name]
    return ['/'.join(('', *names, f'camera_{i}')) for i in range(number)]


def of_drivers(
    camera: str, images: Sequence[str], folders: Sequence[str]
) -> list[tuple[str, str]]:
    """Return what makes several nodes hear their drivers.

    Args:
        camera: `thermal` or `rgb`.
        images: a topic for each node, or one relative to the namespace of each.
        folders: namespaces of the nodes.

    Raises:
        ValueError: if it is neither.
    """
    if len(images) == 1 and not images[0].startswith('/'):
        return _of_driver(camera, images[0])
    if len(images) != len(folders):
        raise ValueError(
            f'{camera}_image: found {",".join(images)!r}, expected {len(folders)} topics with '
            'commas between, or a relative one for all cameras'
        )
    return [
        (f'{folder}/{heard}', topic)
        for folder, image in zip(folders, images)
        for heard, topic in _of_driver(camera, image)
    ]


def _of_driver(camera: str, image: str, camera_info: str = '') -> list[tuple[str, str]]:
    info = camera_info or _sibling(image, 'camera_info')
    return [(f'{camera}/image_raw', image), (f'{camera}/camera_info', info)]


def _given(value: Callable[[str], str]) -> dict[str, str]:
    """Return the parameters that an argument sets; one left empty leaves them to the file."""
    return {name: value(name) for name in ('device', 'backend', 'checkpoint') if value(name)}


def _sibling(topic: str, name: str) -> str:
    """Return the topic `name` beside another one, as image_transport finds camera_info."""
    parent, slash, _ = topic.rpartition('/')
    return f'{parent}{slash}{name}'
