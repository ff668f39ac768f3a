"""`thermal-perception run`: start a node of this package by name."""

from __future__ import annotations

import ctypes
from importlib import import_module
import os
import signal
from typing import TYPE_CHECKING

from thermal_perception.cli.ros import (
    require_ros,
    ros_arguments,
    use_large_image_profile,
)
from thermal_perception.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

DIE_WITH_PARENT = 'THERMAL_PERCEPTION_DIE_WITH_PARENT'
"""Environment variable: the node ends when the process that started it is killed."""

_PR_SET_PDEATHSIG = 1


def run(node: str, params: Path | None, arguments: Sequence[str]) -> int:
    """Run a node until it is told to stop.

    Args:
        node: name as `ros2 run` knows it.
        params: YAML file of ROS parameters.
        arguments: passed on to rclpy, for example `--ros-args -p device:=cpu`.

    Returns:
        Exit code of the node.

    Raises:
        ConfigError: if ROS, the node or the parameter file is missing.
    """
    require_ros()
    if os.environ.get(DIE_WITH_PARENT):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    use_large_image_profile(os.environ)
    nodes = import_module('thermal_perception.nodes.registry').NODES
    if node not in nodes:
        raise ConfigError(f'run {node}: no such node, expected one of {", ".join(nodes)}')
    module, _, function = nodes[node].partition(':')
    main = getattr(import_module(module), function)
    return int(main(ros_arguments(params, arguments)) or 0)
