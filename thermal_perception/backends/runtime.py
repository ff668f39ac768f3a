"""What runs graphs: as much of it as a backend must know."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray


class Compiled(NamedTuple):
    """A graph that is ready to run.

    Attributes:
        run: takes arrays in the order of the graph's inputs, and gives those of its outputs; the
            next call leaves them as they are.
        outputs: how many.
    """

    run: Callable[[list[NDArray[Any]]], Sequence[NDArray[Any]]]
    outputs: int


class Runtime(Protocol):
    """A library that compiles graphs and runs them.

    Attributes:
        name: of the backend.
        title: as its makers write it, for messages.
        graph_format: what it reads, from `FORMATS`.
        precision: of the inner values; inputs and outputs are float32 or bool.
        device: where it runs.
        errors: what it raises.
    """

    name: str
    title: str
    graph_format: str
    precision: str
    device: str
    errors: tuple[type[Exception], ...]

    def compile(self, path: Path) -> Compiled:
        """Compile a graph; its file may go afterwards.

        Raises:
            errors: if it cannot.
        """


def reason(error: Exception) -> str:
    """Return the first line that is no place in the sources of a run-time."""
    lines = [line.strip() for line in str(error).splitlines()]
    told = [line for line in lines if line and not line.startswith(('Exception from', 'Check '))]
    return next(iter(told or filter(None, lines)), type(error).__name__)
