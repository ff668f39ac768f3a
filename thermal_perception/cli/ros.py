"""What the commands need to know of the ROS installation and of DDS."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
import os
from pathlib import Path
import random
from typing import Any, TYPE_CHECKING

from thermal_perception.errors import ConfigError
from thermal_perception.resources import share_path

if TYPE_CHECKING:
    from collections.abc import Container, MutableMapping, Sequence

_PROFILE_VARIABLES = ('FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE')
_LAST_DOMAIN = 101
"""Higher domains use ports that Linux also hands out to other programs."""


def require_ros() -> None:
    """Check that rclpy is installed.

    Raises:
        ConfigError: if not, with what to do about it.
    """
    if find_spec('rclpy') is None:
        raise ConfigError(
            'this command needs ROS 2 (rclpy): source a ROS distribution, or run `make setup`'
        )


def message_class(msgtype: str) -> Any | None:
    """Return the class of `package/msg/Name`, None if its package is not installed."""
    package, _, name = msgtype.partition('/msg/')
    try:
        return getattr(import_module(f'{package}.msg'), name, None)
    except ImportError:
        return None


def use_large_image_profile(environment: MutableMapping[str, str]) -> None:
    """Name our Fast DDS profile in the environment, unless the user named one.

    With the default segment of 0.5 MiB a best-effort subscriber loses nearly all images, so
    publishers of images need the profile as much as subscribers do.
    """
    if not any(environment.get(name) for name in _PROFILE_VARIABLES):
        profile = share_path('config', 'dds', 'fastdds_large_images.xml')
        environment[_PROFILE_VARIABLES[0]] = str(profile)


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
    use_large_image_profile(environment)
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
