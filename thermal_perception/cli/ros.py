"""ROS and DDS for the commands. Imported without ROS, it says so when a command needs it.

All of rclpy that the commands use is behind these functions: the other modules of this room load
on a machine without ROS.
"""

from __future__ import annotations

from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
import os
from pathlib import Path
import random
import signal
from typing import Any, TYPE_CHECKING

from thermal_perception.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator, MutableMapping, Sequence

    from rclpy.executors import Executor
    from rclpy.node import Node
    from rclpy.publisher import Publisher
    from rclpy.qos import QoSProfile

_LAST_DOMAIN = 101
"""Higher domains use ports that Linux also hands out to other programs."""
_LOOK_UP_S = 0.5


def require_ros() -> None:
    """Check that rclpy is installed.

    Raises:
        ConfigError: if not, with what to do about it.
    """
    if find_spec('rclpy') is None:
        raise ConfigError(
            'this command needs ROS 2 (rclpy): source a ROS distribution, or run `make setup`'
        )


def find_message(msgtype: str) -> Any | None:
    """Return the class of `package/msg/Name`, None if its package is not installed."""
    package, _, name = msgtype.partition('/msg/')
    try:
        return getattr(import_module(f'{package}.msg'), name, None)
    except ImportError:
        return None


def message(msgtype: str) -> Any:
    """Return the class of `package/msg/Name`.

    Raises:
        ConfigError: if its package is not installed.
    """
    found = find_message(msgtype)
    if found is None:
        raise ConfigError(f'{msgtype}: this message type is not installed')
    return found


@contextmanager
def ros_node(name: str, arguments: list[str] | None = None) -> Iterator[Node]:
    """Join the graph with a node of our own while the context lasts.

    SIGINT and SIGTERM raise KeyboardInterrupt in our code: the handlers of rclpy would end its
    context while we still use it, and a background job of a shell starts with SIGINT ignored.

    It has no services of its own: an executor looks after each of them at every message.

    Args:
        name: of the node.
        arguments: for `rclpy.init`, for example `['--ros-args', '-r', 'a:=b']`.
    """
    import rclpy
    from rclpy.signals import SignalHandlerOptions

    rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        node = rclpy.create_node(name, start_parameter_services=False, enable_rosout=False)
        yield node
        node.destroy_node()
    finally:
        rclpy.try_shutdown()


def executor_of(node: Node) -> Executor:
    """Return an executor that serves the callbacks of a node, one at a time."""
    from rclpy.executors import SingleThreadedExecutor

    executor = SingleThreadedExecutor()
    executor.add_node(node)
    return executor


def spin(executor: Executor) -> None:
    """Serve until interrupted: within `_LOOK_UP_S`, where `Executor.spin` would not hear it.

    A signal is only seen between two waits; rclpy's handlers, which end a wait, are off.
    """
    while True:
        executor.spin_once(timeout_sec=_LOOK_UP_S)


def qos(depth: int, *, reliable: bool, latched: bool = False) -> QoSProfile:
    """Return a quality of service that keeps the last `depth` messages."""
    from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

    return QoSProfile(
        depth=depth,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )


def parameter_setter(node: Node, other: str) -> Callable[[str, bool], None]:
    """Return a function (name, value) that asks another node to change a parameter.

    It waits for nothing: where the other node is not there, nothing happens.
    """
    from rclpy.parameter import Parameter

    SetParameters = import_module('rcl_interfaces.srv').SetParameters
    client: Any = node.create_client(SetParameters, f'/{other}/set_parameters')

    def ask(name: str, value: bool) -> None:
        change = Parameter(name, value=value).to_parameter_msg()
        client.call_async(SetParameters.Request(parameters=[change]))

    return ask


def wait_until_acknowledged(publisher: Publisher[Any], limit_s: float) -> bool:
    """Wait until reliable subscribers have everything; False if it takes longer."""
    from rclpy.duration import Duration

    return publisher.wait_for_all_acked(Duration(seconds=limit_s))


def use_dds_profile(environment: MutableMapping[str, str]) -> None:
    """Name the package's Fast DDS profile in the environment, unless the user named one.

    Publishers of images need it as much as subscribers do.
    """
    import_module('thermal_perception.nodes.base.dds').use_dds_profile(environment)


def free_domain_id(taken: Container[int] | None = None) -> int:
    """Choose a ROS domain that no process of this machine uses.

    Args:
        taken: UDP ports in use; None to look them up.

    Raises:
        ConfigError: if every domain is in use.
    """
    ports = udp_ports() if taken is None else taken
    # The domain 0 is everybody's default: never end up in a robot's own network.
    for domain in random.sample(range(1, _LAST_DOMAIN + 1), _LAST_DOMAIN):
        first = 7400 + 250 * domain  # RTPS 2.5, section 9.6.1.1: DB + DG * domain
        if not any(port in ports for port in range(first, first + 250)):
            return domain
    raise ConfigError(f'ROS_DOMAIN_ID: all domains 1..{_LAST_DOMAIN} are in use on this machine')


def udp_ports() -> set[int]:
    """Return the local UDP ports in use; empty where the system does not tell."""
    ports = set()
    for table in (Path('/proc/net/udp'), Path('/proc/net/udp6')):
        if table.is_file():
            for line in table.read_text().splitlines()[1:]:
                ports.add(int(line.split()[1].rpartition(':')[2], 16))
    return ports


def private_environment() -> dict[str, str]:
    """Return an environment for processes that talk to each other on this machine only."""
    environment = dict(os.environ)
    environment['ROS_DOMAIN_ID'] = str(free_domain_id())
    environment['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
    environment.pop('ROS_LOCALHOST_ONLY', None)  # the older variable wins over the newer one
    use_dds_profile(environment)
    return environment


def ros_arguments(params: Path | None, arguments: Sequence[str]) -> list[str]:
    """Return the arguments for rclpy, with the parameter file before all others.

    Later values win in ROS, so `-p` given by hand overrides the file.

    Raises:
        ConfigError: if the parameter file does not exist, or an argument stands outside of
            `--ros-args`, where ROS would ignore it.
    """
    if params is not None and not params.is_file():
        raise ConfigError(f'--params {params}: no such file')
    if arguments and arguments[0] != '--ros-args':
        raise ConfigError(f'{arguments[0]}: unknown option; ROS arguments follow --ros-args')
    from_file = ['--params-file', str(params)] if params else []
    return ['--ros-args', *from_file, *arguments[1:]] if from_file or arguments else []
