"""What a benchmark ran on."""

from __future__ import annotations

from importlib import metadata
import os
from pathlib import Path
import platform
import shutil
import subprocess
from typing import Any, TYPE_CHECKING

from thermal_perception.backends import cpu_threads

if TYPE_CHECKING:
    from collections.abc import Mapping

_FLAGS = {'avx2': 'AVX2', 'avx512': 'AVX-512', 'amx': 'AMX', 'bf16': 'bf16'}
_RUN_TIMES = ('torch', 'openvino', 'onnxruntime')


def machine_text(machine: Mapping[str, Any]) -> str:
    """Return what matters of `describe_machine` in three lines."""
    flags = ', '.join(text for flag, text in _FLAGS.items() if machine[flag])
    versions = [f'{n} {machine[n]}' if machine[n] else f'no {n}' for n in _RUN_TIMES]
    return (
        f'{machine["cpu"]} with {flags or "no AVX"}\n'
        f'thermal_perception {machine["thermal_perception"]}; cores {machine["cores"]}, threads '
        f'of a network {machine["threads"]}, {machine["memory_gib"]} GiB, '
        f'{machine["gpu"] or "no GPU"}\n'
        f'{", ".join(versions)}'
    )


def describe_machine() -> dict[str, Any]:
    """Return processor, memory, GPU and versions as plain values."""
    flags = _cpu_field('flags').split()
    return {
        'cpu': _cpu_field('model name') or platform.machine(),
        'cores': len(os.sched_getaffinity(0)),
        'threads': cpu_threads(),
        'avx2': 'avx2' in flags,
        'avx512': 'avx512f' in flags,
        'amx': 'amx_tile' in flags,
        'bf16': 'amx_bf16' in flags or 'avx512_bf16' in flags,
        'memory_gib': round(os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30, 1),
        'gpu': _gpu(),
        'system': platform.platform(),
        'python': platform.python_version(),
        'thermal_perception': _version('thermal_perception'),
        **{name: _version(name) for name in _RUN_TIMES},
        'opencv': _version('opencv-python-headless'),
        'ros_distro': os.environ.get('ROS_DISTRO', ''),
        'rmw': os.environ.get('RMW_IMPLEMENTATION', 'default'),
    }


def _cpu_field(name: str) -> str:
    table = Path('/proc/cpuinfo')
    lines = table.read_text().splitlines() if table.is_file() else []
    for line in lines:
        key, _, value = line.partition(':')
        if key.strip() == name:
            return value.strip()
    return ''


def _gpu() -> str | None:
    tool = shutil.which('nvidia-smi')
    if tool is None:
        return None
    done = subprocess.run(
        [tool, '--query-gpu=name', '--format=csv,noheader'],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    return done.stdout.strip() or None


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ''
