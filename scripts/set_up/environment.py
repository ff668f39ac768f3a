"""The virtual environment: what goes into it from PyPI and from this checkout."""

from __future__ import annotations

import os
from pathlib import Path
import shlex
import shutil
import subprocess
from typing import Mapping, Optional, Union

from machine import clean_environment, Python, SetUpError

DEFAULT_TORCH = 'torch==2.13.0'
PACKAGE = 'thermal_perception'

_PRINT_CV2 = 'from importlib.util import find_spec; print(find_spec("cv2"))'
_PRINT_PINS = """
from importlib.metadata import version
import sys
print(*(f'{name}=={version(name)}' for name in sys.argv[1:]), sep='\\n')
"""
_PRINT_COMMANDS = """
from importlib.metadata import distribution
import sys
entries = distribution(sys.argv[1]).entry_points
print(*(entry.name for entry in entries if entry.group == 'console_scripts'))
"""


class Environment:
    """One virtual environment and the checkout it serves."""

    def __init__(self, root: Path, venv: Path) -> None:
        self.root = root
        self.venv = venv
        self.python = venv / 'bin' / 'python'
        self.scratch = venv / 'build'
        self.constraints = root / 'constraints.txt'

    def run(self, *command: Union[str, Path],
            variables: Optional[Mapping[str, str]] = None) -> str:
        """Run a command and return what it printed.

        Raises:
            SetUpError: if it fails; holds the command and the end of its output.
        """
        words = [str(word) for word in command]
        try:
            done = subprocess.run(words, cwd=self.root, text=True, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                                  env=variables or clean_environment())
        except OSError as error:
            raise SetUpError(f'cannot run\n  {shlex.join(words)}\n{error}') from error
        if done.returncode:
            tail = '\n'.join(done.stdout.splitlines()[-30:])
            raise SetUpError(f'exit code {done.returncode} of\n  {shlex.join(words)}\n{tail}')
        return done.stdout

    def python_run(self, code: str, *arguments: str) -> str:
        """Run Python code inside the environment and return what it printed."""
        return self.run(self.python, '-c', code, *arguments)

    def create(self, python: Python, *, sees_system_packages: bool) -> None:
        """Make the environment anew."""
        shutil.rmtree(self.venv, ignore_errors=True)
        option = ['--system-site-packages'] if sees_system_packages else []
        self.run(python.path, '-m', 'venv', *option, self.venv)

    def pip_install(self, *arguments: Union[str, Path]) -> None:
        """Install from PyPI, as the user's pip is configured."""
        self.run(self.python, '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check',
                 *arguments)

    def install_torch(self, requirement: str, *, pinned: bool) -> None:
        """Install the torch the user chose; the text may hold pip options, such as an index.

        `pinned` holds what the default torch needs at our versions; another one may need others,
        and in a distribution what is there already will do.
        """
        # pip takes a build for the CPU to satisfy a request for CUDA, and the other way round.
        self.run(self.python, '-m', 'pip', 'uninstall', '--quiet', '--yes', 'torch')
        pins = ['-c', self.constraints] if pinned and requirement == DEFAULT_TORCH else []
        self.pip_install(*shlex.split(requirement), *pins)

    def install_requirements(self, *names: str) -> None:
        """Install requirements/NAME.txt of every name, in the versions of constraints.txt."""
        files = [word for name in names for word in ('-r', f'requirements/{name}.txt')]
        self.pip_install(*files, '-c', self.constraints, '-c', self._hold('torch'))

    def add_to_distribution(self, *names: str) -> None:
        """Install what a ROS distribution lacks; what it has, above all its numpy, stays."""
        lines = self.requirements(*names)
        if self.python_run(_PRINT_CV2).strip() != 'None':
            lines.remove('opencv-python-headless')  # Debian's cv2 has another name for pip
        self.pip_install(*lines, '-c', self._hold('torch', 'numpy'))

    def requirements(self, *names: str) -> list[str]:
        """Return what requirements/NAME.txt of every name ask for."""
        return [line for name in names
                for line in _read_lines(self.root / 'requirements' / f'{name}.txt')]

    def pins(self) -> list[str]:
        """Return the versions of constraints.txt."""
        return _read_lines(self.constraints)

    def _hold(self, *packages: str) -> Path:
        """Write a constraints file that holds `packages` at their installed versions.

        It keeps pip from replacing a CPU build of torch by several GB of CUDA.
        """
        file = self.venv / 'held.txt'
        file.write_text(self.python_run(_PRINT_PINS, *packages), encoding='utf-8')
        return file

    def install_copy(self, source: Path) -> None:
        """Install a plain Python package from a copy, since pip writes into what it builds."""
        copy = self.scratch / source.name
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(source, copy)
        self.pip_install('--no-deps', '--no-build-isolation', '--force-reinstall', copy)
        shutil.rmtree(copy)

    def install_package(self) -> None:
        """Install this package so that the source tree is what runs, and its share/ the source's.

        Links instead of copies: an edited launch file or a new checkpoint is used at once.
        """
        self.pip_install('--no-deps', '--no-build-isolation', '--editable', self.root)
        share = self.venv / 'share'
        for name in ('launch', 'config', 'weights', 'package.xml'):
            link(share / PACKAGE / name, self.root / name)
        marker = Path('ament_index', 'resource_index', 'packages', PACKAGE)
        link(share / marker, self.root / 'resource' / PACKAGE)
        for name in self.python_run(_PRINT_COMMANDS, PACKAGE).split():
            # where `ros2 run` and launch files look
            link(self.venv / 'lib' / PACKAGE / name, self.venv / 'bin' / name)


def _read_lines(file: Path) -> list[str]:
    lines = (line.split('#')[0].strip() for line in file.read_text(encoding='utf-8').splitlines())
    return [line for line in lines if line]


def link(place: Path, target: Path) -> None:
    """Make `place` a symbolic link to `target`, replacing an older link."""
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.is_symlink():
        place.unlink()
    place.symlink_to(os.path.relpath(target, place.parent))
