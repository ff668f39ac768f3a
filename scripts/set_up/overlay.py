"""Builds the message package of ros_overlay/ into the virtual environment."""

from __future__ import annotations

import os
from pathlib import Path
import re
import shutil

from borrow import borrow_compiler, borrow_headers
from environment import Environment
from machine import clean_environment, Python

_BUILDER_PYTHON = re.compile(r'/[^";]*/include/python3\.\d+(?=[";])')
_BUILDER_NUMPY = re.compile(r'/[^";]*/numpy/(?:_core|core)/include(?=[";])')
_PRINT_INCLUDES = """
import numpy, sysconfig
print(sysconfig.get_path('include'), numpy.get_include(), sep='\\n')
"""


def repair_cmake_files(share: Path, python_include: str, numpy_include: str) -> int:
    """Replace the include folders of whoever built the ROS wheels by those of this machine.

    Returns:
        How many files were changed; none if it was done before.
    """
    changed = 0
    for file in share.rglob('*Export.cmake'):
        text = file.read_text(encoding='utf-8')
        repaired = _BUILDER_PYTHON.sub(lambda _: python_include, text)
        repaired = _BUILDER_NUMPY.sub(lambda _: numpy_include, repaired)
        if repaired != text:
            file.write_text(repaired, encoding='utf-8')
            changed += 1
    return changed


def build_variables(venv: Path) -> dict[str, str]:
    """Return an environment in which cmake finds the ROS packages of the venv and no others."""
    variables = clean_environment()
    variables.pop('PYTHONPATH', None)
    variables.update(CMAKE_PREFIX_PATH=str(venv), AMENT_PREFIX_PATH=str(venv),
                     PATH=os.pathsep.join([str(venv / 'bin'), variables.get('PATH', '')]))
    return variables


def build_messages(environment: Environment, source: Path, python: Python) -> None:
    """Configure, build and install a message package; the build folder goes when it worked."""
    venv, scratch = environment.venv, environment.scratch
    shutil.rmtree(scratch, ignore_errors=True)
    variables = build_variables(venv)
    python_include, numpy_include = environment.python_run(_PRINT_INCLUDES).splitlines()
    if not python.has_headers:
        python_include = str(borrow_headers(environment, python.version, variables))
    if not shutil.which('g++'):
        borrow_compiler(environment, variables)
    repair_cmake_files(venv / 'share', python_include, numpy_include)
    environment.run('cmake', '-S', source, '-B', scratch / source.name,
                    '-DCMAKE_BUILD_TYPE=Release', '-DBUILD_TESTING=OFF',
                    f'-DCMAKE_INSTALL_PREFIX={venv}', f'-DPython3_EXECUTABLE={environment.python}',
                    f'-DPython3_INCLUDE_DIR={python_include}', variables=variables)
    environment.run('cmake', '--build', scratch / source.name, '--parallel',
                    str(os.cpu_count() or 1), variables=variables)
    environment.run('cmake', '--install', scratch / source.name, variables=variables)
    shutil.rmtree(scratch)
