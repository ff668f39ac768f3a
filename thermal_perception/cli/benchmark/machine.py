"""What a benchmark ran on."""

from __future__ import annotations

from importlib import metadata
import os
from pathlib import Path
import platform
import shutil
import subprocess
from typing import Any


def describe_machine() -> dict[str, Any]:
    """Return processor, memory, GPU and versions as plain values."""
    flags = _cpu_field('flags').split()
    return {
        'cpu': _cpu_field('model name') or platform.machine(),
        'cores': len(os.sched_getaffinity(0)),
        'amx': 'amx_tile' in flags,
        'avx512': 'avx512f' in flags,
        'memory_gib': round(os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30, 1),
        'gpu': _gpu(),
        'system': platform.platform(),
        'python': platform.python_version(),
        'torch': _version('torch'),
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
