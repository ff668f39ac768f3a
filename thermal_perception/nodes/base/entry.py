"""From command line to a running node, and back to a clean end."""

from __future__ import annotations

from contextlib import contextmanager
import gc
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING

import rclpy
from rclpy.clock import Clock, ClockType
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.signals import uninstall_signal_handlers

from thermal_perception.errors import ThermalPerceptionError
from thermal_perception.nodes.base.dds import use_dds_profile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rclpy.node import Node


_LOOK_UP_S = 1.0


def run_node(make_node: Callable[[], Node], args: Sequence[str] | None = None) -> int:
    """Run one node; see `run_nodes`."""
    return run_nodes([make_node], args)


def run_nodes(make_nodes: Sequence[Callable[[], Node]], args: Sequence[str] | None = None) -> int:
    """Run nodes in one process until SIGINT, SIGTERM or their own end of the context.

    Inference runs in a thread of its own, so one executor thread serves all callbacks.

    Args:
        make_nodes: construct the nodes once ROS is up.
        args: arguments for rclpy; None takes those of the process.

    Returns:
        Exit code: 0 after a requested end, 1 if a node could not be made.
    """
    try:
        use_dds_profile(os.environ)
    except ThermalPerceptionError as error:
        return complain(error)
    rclpy.init(args=None if args is None else list(args))
    nodes: list[Node] = []
    try:
        executor = SingleThreadedExecutor()
        for make_node in make_nodes:
            nodes.append(make_node())
            executor.add_node(nodes[-1])
        # An executor that begins to wait just when a signal comes can miss it and wait for ever.
        # Woken, it sees that the context is down.
        nodes[0].create_timer(
            _LOOK_UP_S, Settling(nodes), clock=Clock(clock_type=ClockType.STEADY_TIME)
        )
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except (ParameterException, ThermalPerceptionError) as error:
        return complain(error)
    except Exception:
        if rclpy.ok():
            raise
        # The process was told to end while a callback was about to publish.
    finally:
        with _undisturbed():
            # Waits for rclpy's thread that tells executors of a signal: it reads their conditions
            # without a lock, and crashes if we take them away meanwhile.
            uninstall_signal_handlers()
            for node in nodes:
                node.destroy_node()
            rclpy.try_shutdown()
    return 0


class Settling:
    """Spares the garbage collector what lives as long as the process, once all is loaded.

    It would go through 200,000 objects of libraries and a network for a tenth of a second, with
    an image waiting.
    """

    def __init__(self, nodes: Sequence[Node]) -> None:
        """Wait for these nodes to be configured; others than ours are at once."""
        self._nodes = nodes
        self.done = False

    def __call__(self) -> None:
        """Look whether it is time; call it now and then."""
        if self.done or any(getattr(n, 'state', '') == 'unconfigured' for n in self._nodes):
            return
        self.done = True
        gc.collect()
        gc.freeze()


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Ignore SIGINT while we end: a second one, or `ros2 launch`'s beside the terminal's."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals go to the main thread
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def complain(error: Exception) -> int:
    """Print why nothing runs, and return the exit code."""
    print(error, file=sys.stderr)
    return 1
