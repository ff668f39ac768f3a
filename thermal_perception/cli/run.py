"""`thermal-perception run`: start a node of this package by name."""

from __future__ import annotations

from importlib import import_module
import os
from typing import TYPE_CHECKING

from thermal_perception.cli.node_kinds import NODE_KINDS
from thermal_perception.cli.processes import die_with_parent
from thermal_perception.cli.ros import (
    require_ros,
    ros_arguments,
    use_dds_profile,
)
from thermal_perception.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def run(node: str, params: Path | None, arguments: Sequence[str], *, cameras: int = 1) -> int:
    """Run a node until it is told to stop.

    Args:
        node: name as `ros2 run` knows it.
        params: YAML file of ROS parameters.
        arguments: passed on to rclpy, for example `--ros-args -p device:=cpu`.
        cameras: so many nodes of this kind, which share a network.

    Returns:
        Exit code of the node.

    Raises:
        ConfigError: if ROS, the node or the parameter file is missing, or the node knows nothing
            of several cameras.
    """
    require_ros()
    die_with_parent()
    use_dds_profile(os.environ)
    registry = import_module('thermal_perception.nodes.registry')
    if node not in registry.NODES:
        expected = ', '.join(registry.NODES)
        raise ConfigError(f'run {node}: no such node, expected one of {expected}')
    several = ['--cameras', str(cameras)] if cameras != 1 else []
    if several and node not in NODE_KINDS:
        raise ConfigError(f'--cameras: found {node}, expected one of {", ".join(NODE_KINDS)}')
    return int(registry.start(node, [*several, *ros_arguments(params, arguments)]))
