"""The processes of a benchmark, as commands."""

from __future__ import annotations

from dataclasses import dataclass
import sys
from typing import TYPE_CHECKING

from thermal_perception.cli.node_kinds import DETECTIONS
from thermal_perception.cli.processes import node_command

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from thermal_perception.cli.benchmark.options import BenchmarkOptions, Way
    from thermal_perception.cli.node_kinds import NodeKind


@dataclass(frozen=True)
class Commands:
    """How the camera, the networks and the nodes are started.

    Attributes:
        options: of the benchmark.
        kind: of the node.
        checkpoint: its weights.
    """

    options: BenchmarkOptions
    kind: NodeKind
    checkpoint: Path

    @property
    def wanted(self) -> str:
        """The output that somebody listens to."""
        return self.options.only or self.kind.answer[0]

    @property
    def answer(self) -> tuple[str, str]:
        """Its topic below our node, and its type."""
        return (self.wanted, 'sensor_msgs/msg/Image') if self.options.only else self.kind.answer

    @property
    def naive_answer(self) -> tuple[str, str]:
        """The same of the straightforward node."""
        return DETECTIONS

    def node_name(self, way: Way) -> str:
        """Name our node."""
        return f'{self.kind.name}_{way.name}'

    def naive_name(self, way: Way) -> str:
        """Name the straightforward node."""
        return f'naive_{way.name}'

    def camera(self, names: Sequence[str]) -> list[str]:
        """Publish for these namespaces, one at a time."""
        return _module('publisher', *self._size, '--cameras', *self.kind.cameras, '--for', *names)

    def network(self, way: Way) -> list[str]:
        """Run the network alone."""
        return _module('bare_loop', '--wanted', self.wanted, *self._size, *self._model(way))

    def node(self, way: Way) -> list[str]:
        """Run our node."""
        name = self.node_name(way)
        parameters = {
            'checkpoint': self.checkpoint,
            'device': self.options.device,
            'backend': way.backend,
            'precision': way.precision,
            'warm_up_size': list(self.options.size),
        }
        topics = [f'{c}/{t}' for c in self.kind.cameras for t in ('image_raw', 'camera_info')]
        remaps = {topic: f'/{name}/{topic}' for topic in topics}
        return node_command(self.kind.name, parameters, remaps=remaps, name=name)

    def naive(self, way: Way) -> list[str]:
        """Run the straightforward node."""
        return _module('naive_node', '--name', self.naive_name(way), *self._model(way))

    @property
    def _size(self) -> list[str]:
        return ['--size', *map(str, self.options.size)]

    def _model(self, way: Way) -> list[str]:
        where = [f'--device={self.options.device}', f'--checkpoint={self.checkpoint}']
        return [*where, f'--backend={way.backend}', f'--precision={way.precision}']


def _module(name: str, *arguments: str) -> list[str]:
    return [sys.executable, '-m', f'thermal_perception.cli.benchmark.{name}', *arguments]
