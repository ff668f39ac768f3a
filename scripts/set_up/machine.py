"""What this machine has: a fitting Python, build tools, a sourced ROS distribution."""

from __future__ import annotations

import os
from pathlib import Path
import platform
import re
import shutil
import subprocess
import sys
from typing import NamedTuple, Optional, Sequence

OLDEST_PYTHON = (3, 11)
NEWEST_PYTHON = (3, 14)  # the ROS wheels exist for 3.11 to 3.14

_PROBE = """
import importlib.util, os, sys, sysconfig
# Of a virtual environment, the interpreter it was made with: it may be made anew.
print(getattr(sys, '_base_executable', sys.executable), *sys.version_info[:2], sep='\\n')
print(int(importlib.util.find_spec('ensurepip') is not None))
print(int(os.path.exists(os.path.join(sysconfig.get_path('include'), 'Python.h'))))
"""


class SetUpError(Exception):
    """Set-up cannot go on; the text says what is missing and what to do."""


class Python(NamedTuple):
    """One interpreter of this machine."""

    path: str
    version: tuple[int, int]
    has_ensurepip: bool
    has_headers: bool


def say(text: str) -> None:
    """Print a line of progress at once, also into a pipe."""
    print(f'set-up: {text}', file=sys.stderr, flush=True)


def clean_environment() -> dict[str, str]:
    """Return the process environment without what another environment's ROS wheels left in it.

    The wheels restart Python once with their library path and a mark that says so. Inherited
    from another virtual environment, that mark makes this one load the other one's libraries.
    """
    environment = dict(os.environ)
    if environment.pop('_ROS_WHEELS_BOOTSTRAP_COMPLETE', None):
        environment.pop('LD_LIBRARY_PATH', None)
    return environment


def probe_python(command: str) -> Optional[Python]:
    """Return what the interpreter `command` is, or None if it does not run."""
    try:
        answer = subprocess.run([command, '-c', _PROBE], stdout=subprocess.PIPE, text=True,
                                stderr=subprocess.DEVNULL, env=clean_environment(), check=True)
        path, major, minor, ensurepip, headers = answer.stdout.splitlines()
    except (OSError, subprocess.CalledProcessError, ValueError):
        return None
    return Python(path, (int(major), int(minor)), ensurepip == '1', headers == '1')


def find_python(wanted: Optional[str], *, bound_to_ros: bool) -> Python:
    """Choose the interpreter of the virtual environment.

    Args:
        wanted: the user's choice (variable PYTHON), or None.
        bound_to_ros: a sourced distribution works with its own `python3` alone, of any version.

    Raises:
        SetUpError: if none fits; says what was found and which Debian package helps.
    """
    minors = range(NEWEST_PYTHON[1], OLDEST_PYTHON[1] - 1, -1)
    others = ['/usr/bin/python3', *(f'python3.{minor}' for minor in minors)]
    names = [wanted] if wanted else ['python3'] if bound_to_ros else ['python3', *others]
    found = [python for python in map(probe_python, names) if python]
    fitting = [p for p in found if bound_to_ros or OLDEST_PYTHON <= p.version <= NEWEST_PYTHON]
    if not fitting:
        raise SetUpError(_no_python_text(found))
    usable = [python for python in fitting if python.has_ensurepip]
    if not usable:
        raise SetUpError(f'{fitting[0].path} cannot make a virtual environment (no ensurepip): '
                         'apt-get install python3-venv')
    return usable[0]


def _no_python_text(found: Sequence[Python]) -> str:
    oldest, newest = ('.'.join(map(str, version)) for version in (OLDEST_PYTHON, NEWEST_PYTHON))
    seen = ', '.join(sorted({f'{p.path} ({p.version[0]}.{p.version[1]})' for p in found}))
    return (f'Python {oldest} to {newest} is needed; found: {seen or "none"}.\n'
            'Install one (Debian 12, Ubuntu 24.04 and newer: apt-get install python3 python3-venv)'
            ' or name one: make setup PYTHON=/path/to/python')


def check_wheels_fit() -> None:
    """Raise SetUpError where the ROS wheels cannot run."""
    system, processor = platform.system(), platform.machine()
    if (system, processor) != ('Linux', 'x86_64'):
        raise SetUpError(f'the ROS wheels are for Linux on x86_64, not {system} on {processor}.\n'
                         'Install ROS 2 Jazzy or Kilted, source it, and run this again.')
    library, version = platform.libc_ver()
    if library == 'glibc' and tuple(map(int, version.split('.')[:2])) < (2, 28):
        raise SetUpError(f'the ROS wheels need glibc 2.28 or newer; this machine has {version}')


def check_build_tools() -> None:
    """Raise SetUpError naming the Debian packages of the build tools that are absent."""
    packages = {'cmake': 'cmake', 'make': 'make', 'gcc': 'gcc libc6-dev'}
    missing = [package for tool, package in packages.items() if not shutil.which(tool)]
    if missing:
        raise SetUpError('building vision_msgs needs tools that are missing: '
                         f'apt-get install {" ".join(missing)}')


class Distribution(NamedTuple):
    """A sourced ROS distribution."""

    name: str
    prefixes: Sequence[Path]

    def has(self, package: str) -> bool:
        """Return whether the ament index lists `package`."""
        marker = Path('share', 'ament_index', 'resource_index', 'packages', package)
        return any((prefix / marker).exists() for prefix in self.prefixes)


def sourced_distribution(venv: Path) -> Optional[Distribution]:
    """Return the sourced ROS distribution, or None; our own venv as a prefix is none."""
    prefixes = [Path(p) for p in os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep) if p]
    others = [prefix for prefix in prefixes if prefix.resolve() != venv.resolve()]
    distribution = Distribution(os.environ.get('ROS_DISTRO', ''), others)
    return distribution if distribution.has('rclpy') else None


def check_distribution(distribution: Distribution, package_xml: Path) -> None:
    """Raise SetUpError naming the ROS packages of package.xml that the distribution lacks."""
    text = re.sub(r'<!--.*?-->', '', package_xml.read_text(encoding='utf-8'), flags=re.DOTALL)
    names = re.findall(r'<(?:depend|exec_depend)>\s*([\w-]+)\s*</', text)
    ros = sorted({name for name in names if '-' not in name})  # python3-numpy is no ROS package
    missing = [name for name in ros if not distribution.has(name)]
    if missing:
        debs = ' '.join(f'ros-{distribution.name}-{n.replace("_", "-")}' for n in missing)
        raise SetUpError(f'ROS {distribution.name} is sourced but lacks {", ".join(missing)}.\n'
                         f'Install: apt-get install {debs}\n'
                         'or: rosdep install --from-paths . --ignore-src')
