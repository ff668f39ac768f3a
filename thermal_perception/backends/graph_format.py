"""Kinds of files that hold a graph, and networks written as one of them."""

from __future__ import annotations

from importlib.util import find_spec
from typing import NamedTuple, TYPE_CHECKING

from thermal_perception.backends.tracing import Traced
from thermal_perception.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path
    from typing import Any

    from torch import nn

    from thermal_perception.backends.artefact import ArtefactWriter, GraphRecord
    from thermal_perception.backends.tracing import Signature


class GraphFormat(NamedTuple):
    """A kind of file that holds a graph.

    Attributes:
        backend: that takes it.
        suffix: of the file that the backend is given.
        packages: that write it.
        write: writes a network to a file, fills in its layout, and returns the newest set of
            operations in it.
    """

    backend: str
    suffix: str
    packages: tuple[str, ...]
    write: Callable[[Traced, Path], str]

    def check(self) -> None:
        """See whether graphs can be written here.

        Raises:
            BackendError: if a package is not installed.
        """
        missing = [name for name in self.packages if find_spec(name) is None]
        if missing:
            raise BackendError(
                f'graphs for {self.backend}: found no {" and no ".join(missing)}; run '
                f'`pip install {" ".join(missing)}`'
            )


def write_graphs(
    writer: ArtefactWriter,
    graph_format: GraphFormat,
    model: nn.Module,
    select: Callable[[Any], Any],
    names: Mapping[Signature, str],
    *,
    first: int = 0,
) -> Iterator[GraphRecord]:
    """Write a graph for each signature, and yield its record; files are numbered from `first`."""
    for number, (signature, name) in enumerate(names.items(), first):
        traced, file = Traced(model, select, signature), f'graph_{number}{graph_format.suffix}'
        opset = graph_format.write(traced, writer.folder / file)
        yield writer.record_of(name, file, signature, opset=opset, numbers=traced.layout.numbers)
