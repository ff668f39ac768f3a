"""Kinds of files that hold a graph, and networks written as one of them."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from typing import NamedTuple, TYPE_CHECKING

from thermal_perception.backends.tracing import Traced
from thermal_perception.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path
    from typing import Any

    from numpy.typing import NDArray
    from torch import nn

    from thermal_perception.backends.artefact import ArtefactWriter, GraphRecord
    from thermal_perception.backends.tracing import Signature


class Quantised(NamedTuple):
    """A graph whose convolutions multiply 8-bit integers.

    Attributes:
        opset: newest set of operations in it.
        int8: how many operations of a kind multiply integers.
        floating: how many of a kind multiply floating-point numbers.
    """

    opset: str
    int8: dict[str, int]
    floating: dict[str, int]


class GraphFormat(NamedTuple):
    """A kind of file that holds a graph.

    Attributes:
        backend: that takes it.
        suffix: of the file that the backend is given.
        packages: that write it.
        write: writes a network to a file, fills in its layout, and returns the newest set of
            operations in it.
        quantise: does so with int8, by samples: arrays for each input; None if it is not there.
        int8_packages: that quantise.
    """

    backend: str
    suffix: str
    packages: tuple[str, ...]
    write: Callable[[Traced, Path], str]
    quantise: Callable[[Traced, Path, Iterable[list[NDArray[Any]]]], Quantised] | None = None
    int8_packages: tuple[str, ...] = ()

    def writers(self, precision: str) -> tuple[str, ...]:
        """Return the packages that write graphs of a precision.

        Args:
            precision: `fp32` or `int8`.
        """
        return self.int8_packages if precision == 'int8' else self.packages

    def check(self, precision: str = 'fp32') -> None:
        """See whether graphs of a precision can be written here.

        Args:
            precision: `fp32` or `int8`.

        Raises:
            BackendError: if a package is not installed, or there is no such precision.
        """
        if precision not in ('fp32', 'int8'):
            raise BackendError(
                f'graphs for {self.backend}: found precision {precision!r}, expected fp32, which '
                'a backend may still round, or int8'
            )
        if precision == 'int8' and self.quantise is None:
            raise BackendError(
                f'graphs for {self.backend}: found precision int8, which there is only for '
                'openvino and onnx; expected fp32'
            )
        missing = [name for name in self.writers(precision) if find_spec(name) is None]
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
    samples: Callable[[Signature], Iterable[list[NDArray[Any]]]] | None = None,
) -> Iterator[GraphRecord]:
    """Write a graph for each signature, and yield its record.

    Args:
        writer: of the artefact.
        graph_format: of its files.
        model: the network.
        select: picks from its output what is worth fetching.
        names: what each graph is for.
        first: number of the first file.
        samples: gives the inputs that an int8 graph is calibrated by; None: they are fp32.
    """
    for number, (signature, name) in enumerate(names.items(), first):
        traced, file = Traced(model, select, signature), f'graph_{number}{graph_format.suffix}'
        path = writer.folder / file
        if samples is None or graph_format.quantise is None:
            done = Quantised(graph_format.write(traced, path), {}, {})
        else:
            done = graph_format.quantise(traced, path, samples(signature))
        yield replace(
            writer.record_of(
                name, file, signature, opset=done.opset, numbers=traced.layout.numbers
            ),
            int8=done.int8,
            floating=done.floating,
        )
