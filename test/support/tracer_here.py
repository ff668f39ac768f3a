"""Tracing without the process of its own that takes seconds to start."""

from __future__ import annotations

from pathlib import Path
import pickle
from tempfile import TemporaryDirectory

from thermal_perception.backends.artefact import StoredGraph
from thermal_perception.backends.formats import FORMATS
from thermal_perception.backends.tracing import Traced


class TracerHere:
    """Takes the place of the process that traces a network."""

    def __init__(self, runtime, blueprint, signature):
        """Keep what is to be traced."""
        self._format = FORMATS[runtime.graph_format]
        self._traced = Traced(*pickle.loads(blueprint), signature)
        self._folder = TemporaryDirectory()

    def graph(self):
        """Trace."""
        path = Path(self._folder.name, f'graph{self._format.suffix}')
        self._format.write(self._traced, path)
        return StoredGraph(path, self._traced.layout.numbers)

    def end(self):
        """Remove the graph."""
        self._folder.cleanup()
