"""The nodes of this package by the name `ros2 run` knows them under, and how each is started."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from thermal_perception.memory import keep_freed_memory

if TYPE_CHECKING:
    from collections.abc import Sequence

NODES: dict[str, str] = {
    'e2e_mfd': 'thermal_perception.nodes.e2e_mfd:main',
    'emiff_infrastructure': 'thermal_perception.nodes.emiff_infrastructure:main',
    'emiff_vehicle': 'thermal_perception.nodes.emiff_vehicle:main',
    'fusion_detr': 'thermal_perception.nodes.fusion_detr:main',
    'rgbt_segmentation': 'thermal_perception.nodes.rgbt_segmentation:main',
    'simulated_cameras': 'thermal_perception.nodes.simulated_cameras:main',
    'simulated_crossing': 'thermal_perception.nodes.simulated_crossing:main',
    'simulated_link': 'thermal_perception.nodes.simulated_link:main',
}
"""Name to `module:function`; the function takes command-line arguments, returns an exit code."""


def start(name: str, args: Sequence[str] | None = None) -> int:
    """Run a node of this package until its end.

    The memory of the process is set up before the module of the node is imported: NumPy starts
    threads, and each would get a heap of its own that glibc trims after every layer.

    Args:
        name: one of `NODES`.
        args: arguments for rclpy; None takes those of the process.

    Returns:
        Exit code.
    """
    keep_freed_memory()
    module, _, function = NODES[name].partition(':')
    return int(getattr(import_module(module), function)(args) or 0)


def e2e_mfd(args: Sequence[str] | None = None) -> int:
    """Run the node `e2e_mfd`; `args` as for `start`."""
    return start('e2e_mfd', args)


def emiff_infrastructure(args: Sequence[str] | None = None) -> int:
    """Run the node `emiff_infrastructure`; `args` as for `start`."""
    return start('emiff_infrastructure', args)


def emiff_vehicle(args: Sequence[str] | None = None) -> int:
    """Run the node `emiff_vehicle`; `args` as for `start`."""
    return start('emiff_vehicle', args)


def fusion_detr(args: Sequence[str] | None = None) -> int:
    """Run the node `fusion_detr`; `args` as for `start`."""
    return start('fusion_detr', args)


def rgbt_segmentation(args: Sequence[str] | None = None) -> int:
    """Run the node `rgbt_segmentation`; `args` as for `start`."""
    return start('rgbt_segmentation', args)


def simulated_cameras(args: Sequence[str] | None = None) -> int:
    """Run the node `simulated_cameras`; `args` as for `start`."""
    return start('simulated_cameras', args)


def simulated_crossing(args: Sequence[str] | None = None) -> int:
    """Run the node `simulated_crossing`; `args` as for `start`."""
    return start('simulated_crossing', args)


def simulated_link(args: Sequence[str] | None = None) -> int:
    """Run the node `simulated_link`; `args` as for `start`."""
    return start('simulated_link', args)
