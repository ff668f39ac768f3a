"""A node for each of several cameras, all in one process, around one network."""

from __future__ import annotations

from argparse import ArgumentParser
from functools import partial
import sys
from typing import Any, TYPE_CHECKING

from rclpy.utilities import remove_ros_args

from thermal_perception.errors import ConfigError
from thermal_perception.nodes.base.entry import complain, run_node, run_nodes
from thermal_perception.nodes.perception.perceivers import load_perceiver
from thermal_perception.nodes.perception.shared_networks import SharedNetworks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rclpy.node import Node

MOST_CAMERAS = 6
_NAMESPACE = '__ns:='


def run_cameras(
    make_node: Callable[..., Node],
    args: Sequence[str] | None = None,
    *,
    load: Callable[[Any], Any] = load_perceiver,
) -> int:
    """Run a node with a model, or with `--cameras N` one for each of N cameras.

    N nodes are in the namespaces `camera_0`, `camera_1`, ... below the one that is given.

    Args:
        make_node: constructs the node; takes `load` and `cli_args`.
        args: `--cameras N` and arguments for rclpy; None takes those of the process.
        load: makes the model from the parameters.

    Returns:
        Exit code, see `run_nodes`.
    """
    given = sys.argv if args is None else list(args)
    try:
        cameras = cameras_asked(given)
    except ConfigError as error:
        return complain(error)
    if cameras == 1:
        return run_node(make_node, args)
    networks = SharedNetworks(cameras, load)
    nodes = [
        partial(make_node, load=networks, cli_args=['--ros-args', '-r', _NAMESPACE + namespace])
        for namespace in camera_namespaces(given, cameras)
    ]
    try:
        return run_nodes(nodes, args)
    finally:
        networks.close()


def cameras_asked(args: Sequence[str]) -> int:
    """Return N of `--cameras N`, 1 where it is not given.

    Raises:
        ConfigError: if it is no number from 1 to `MOST_CAMERAS`.
    """
    parser = ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument('--cameras', nargs='?', default='1', const='')
    text = parser.parse_known_args(remove_ros_args(list(args)))[0].cameras
    if not text.isdecimal() or not 1 <= int(text) <= MOST_CAMERAS:
        raise ConfigError(f'--cameras: found {text!r}, expected 1 to {MOST_CAMERAS}')
    return int(text)


def camera_namespaces(args: Sequence[str], cameras: int) -> list[str]:
    """Return the namespace of each camera's node, below that which the arguments remap to."""
    given = next((arg for arg in args if arg.startswith(_NAMESPACE)), _NAMESPACE)
    base = given.removeprefix(_NAMESPACE).strip('/')
    return ['/'.join(('', *filter(None, [base]), f'camera_{i}')) for i in range(cameras)]
