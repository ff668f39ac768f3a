"""Make a graph of a network in a process of its own.

`torch.export` patches PyTorch for the whole process while it traces: beside a network that runs,
that would change its results. So a robot lets another process do it.
"""

from __future__ import annotations

import os
from pathlib import Path
import pickle
import subprocess
import sys
from tempfile import TemporaryDirectory
import threading
from typing import TYPE_CHECKING

import torch

from thermal_perception.backends.artefact import StoredGraph
from thermal_perception.backends.formats import FORMATS
from thermal_perception.backends.tracing import Traced
from thermal_perception.errors import BackendError

if TYPE_CHECKING:
    from thermal_perception.backends.runtime import Runtime
    from thermal_perception.backends.tracing import Signature

_NETWORK, _SIGNATURE, _LAYOUT, _LOG = 'network.pickle', 'signature.pickle', 'layout.pickle', 'log'
_MAIN = 'from thermal_perception.backends.tracer import main; main()'


class Tracer:
    """A process that traces a network."""

    def __init__(self, runtime: Runtime, blueprint: bytes, signature: Signature) -> None:
        """Start it.

        Args:
            runtime: that the graph is for.
            blueprint: the network, and what selects from its output, pickled.
            signature: what the graph is made for.
        """
        self._runtime = runtime
        self._folder = TemporaryDirectory(prefix='thermal_perception_')
        folder = Path(self._folder.name)
        (folder / _NETWORK).write_bytes(blueprint)
        (folder / _SIGNATURE).write_bytes(pickle.dumps(signature))
        with (folder / _LOG).open('w') as log:
            self._process = subprocess.Popen(
                [sys.executable, '-c', _MAIN, runtime.graph_format, str(folder)],
                stdin=subprocess.PIPE,  # it ends when nobody holds the other end
                stdout=log,
                stderr=log,
                env={**os.environ, 'PYTHONPATH': os.pathsep.join(p for p in sys.path if p)},
                start_new_session=True,  # Ctrl-C is ours
            )

    def graph(self) -> StoredGraph:
        """Wait for the process; its files are there until `end`.

        Raises:
            BackendError: if it failed.
        """
        folder = Path(self._folder.name)
        if self._process.wait():
            lines = (folder / _LOG).read_text(errors='replace').strip().splitlines()
            raise BackendError(
                f'{self._runtime.title} cannot compile the network: '
                f'{lines[-1] if lines else "no reason"}'
            )
        numbers = pickle.loads((folder / _LAYOUT).read_bytes())
        return StoredGraph(_graph(self._runtime.graph_format, folder), numbers)

    def end(self) -> None:
        """Stop the process, and remove what it wrote."""
        self._process.kill()
        self._process.communicate()
        self._folder.cleanup()


def main() -> None:
    """Trace; the command line tells the kind of graph and the folder of everything."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    kind, folder = sys.argv[1], Path(sys.argv[2])
    torch.set_num_threads(1)
    model, select = pickle.loads((folder / _NETWORK).read_bytes())
    traced = Traced(model, select, pickle.loads((folder / _SIGNATURE).read_bytes()))
    FORMATS[kind].write(traced, _graph(kind, folder))
    (folder / _LAYOUT).write_bytes(pickle.dumps(traced.layout.numbers))


def _graph(kind: str, folder: Path) -> Path:
    return folder / f'graph{FORMATS[kind].suffix}'


def _end_with_parent() -> None:
    sys.stdin.read()  # which it holds open as long as it lives
    os._exit(1)
