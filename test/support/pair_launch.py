"""The launch file of a node with two cameras, as a robot with other names for them includes it."""

from __future__ import annotations

from pathlib import Path
import tempfile
from typing import Any, TYPE_CHECKING

from launch.actions import IncludeLaunchDescription
from launch.substitutions import PathJoinSubstitution
from launch_ros.substitutions import FindPackageShare
import launch_testing.actions

from launch import LaunchDescription
from thermal_perception.models.checkpoint import save_random
from thermal_perception.models.record import CheckpointInfo

if TYPE_CHECKING:
    from collections.abc import Sequence

FOLDER = tempfile.TemporaryDirectory()
THERMAL, RGB = '/boson/image_raw', '/camera/image_raw'


def in_namespace_front(
    node: str, config: dict[str, Any], class_names: Sequence[str]
) -> LaunchDescription:
    """Launch `node` with random weights in namespace `front`, its cameras `THERMAL` and `RGB`."""
    checkpoint = Path(FOLDER.name, 'tiny.safetensors')
    save_random(checkpoint, CheckpointInfo('tiny', node, config, {}, tuple(class_names)))
    arguments = {
        'namespace': 'front',
        'thermal_image': THERMAL,
        'rgb_image': RGB,
        'checkpoint': str(checkpoint),
        'device': 'cpu',
        'log_level': 'warn',
    }
    file = [FindPackageShare('thermal_perception'), 'launch', f'{node}.launch.py']
    system = IncludeLaunchDescription(
        PathJoinSubstitution(file), launch_arguments=arguments.items()
    )
    return LaunchDescription([system, launch_testing.actions.ReadyToTest()])
