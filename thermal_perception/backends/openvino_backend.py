"""Run a network that OpenVINO has compiled for the CPU."""

from __future__ import annotations

from functools import cache
from typing import Any, TYPE_CHECKING

import torch

from thermal_perception.backends.compiled import CompiledBackend
from thermal_perception.backends.openvino_parts import split
from thermal_perception.backends.runtime import Compiled
from thermal_perception.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import nn

    from thermal_perception.backends.artefact import Origin

_HINTS = {'fp32': 'f32', 'bf16': 'bf16'}


class OpenVino:
    """OpenVINO on this processor; see `Runtime`.

    With bf16 and int8, numbers that a network calls `precise` stay in single precision. With int8,
    what else a graph has not quantised is computed as with `auto`.
    """

    name = 'openvino'
    title = 'OpenVINO'
    graph_format = 'openvino'
    device = 'cpu'
    errors: tuple[type[Exception], ...] = (RuntimeError,)

    def __init__(self, precision: str = 'auto') -> None:
        """Choose a precision: `auto` takes bf16 where the processor multiplies it, else fp32.

        `int8` is for graphs that were quantised.

        Raises:
            BackendError: if OpenVINO is not installed, or the precision not there.
        """
        self._core = _core()
        self._floating = self._checked('auto' if precision == 'int8' else precision)
        self.precision = 'int8' if precision == 'int8' else self._floating

    def compile(self, path: Path) -> Compiled:
        """Compile a graph; see `Runtime`."""
        graph = self._core.read_model(path)
        outputs = len(graph.outputs)
        parts = None if self.precision == 'fp32' else split(graph)
        if parts is None:
            return Compiled(self._runner(graph, self._floating), outputs)
        coarse = self._runner(parts.coarse, self._floating, copies=False)
        fine = self._runner(parts.fine, 'fp32')

        def run(arrays: list[NDArray[Any]]) -> Sequence[NDArray[Any]]:
            given = coarse(arrays)
            own = (x.copy() for x in given[parts.between :])
            found = (*own, *fine(given[: parts.between]))
            return [found[place] for place in parts.order]

        return Compiled(run, outputs)

    def _runner(
        self, graph: Any, precision: str, *, copies: bool = True
    ) -> Callable[[Any], Sequence[NDArray[Any]]]:
        """Return what runs a graph; without copies the next call overwrites its results."""
        settings = {
            'INFERENCE_PRECISION_HINT': _HINTS[precision],
            'INFERENCE_NUM_THREADS': torch.get_num_threads(),
            'PERFORMANCE_HINT': 'LATENCY',
            'ENABLE_MMAP': False,  # its file goes, or may be replaced
        }
        request = self._core.compile_model(graph, 'CPU', settings).create_infer_request()

        def run(arrays: Any) -> Sequence[NDArray[Any]]:
            results = request.infer(list(arrays), share_inputs=True, share_outputs=not copies)
            return results.to_tuple()

        return run

    def _checked(self, precision: str) -> str:
        if precision not in ('auto', *_HINTS):
            raise BackendError(
                f'precision: found {precision!r}, expected auto, fp32, bf16 or int8'
            )
        fast = 'BF16' in self._core.get_property('CPU', 'OPTIMIZATION_CAPABILITIES')
        if precision == 'bf16' and not fast:
            raise BackendError(
                'precision: found bf16, but this processor does not multiply it; expected auto or '
                'fp32'
            )
        if precision == 'auto':
            return 'bf16' if fast else 'fp32'
        return precision


class OpenVinoBackend(CompiledBackend):
    """A network compiled by OpenVINO for the CPU; `precision` is `fp32`, `bf16` or `int8`."""

    def __init__(
        self,
        model: nn.Module,
        select: Callable[[Any], Any] | None = None,
        *,
        precision: str = 'auto',
        origin: Origin | None = None,
    ) -> None:
        """Take over a network; see `CompiledBackend` and `OpenVino`.

        Raises:
            BackendError: if OpenVINO is not installed, or the precision not there; or with int8,
                if there is no artefact.
        """
        super().__init__(OpenVino(precision), model, select, origin=origin)


def openvino_abilities() -> frozenset[str]:
    """Return what OpenVINO can do with this processor, for example `BF16`.

    Raises:
        BackendError: if it is not installed.
    """
    return frozenset(_core().get_property('CPU', 'OPTIMIZATION_CAPABILITIES'))


def _core() -> Any:
    try:
        from openvino import Core
    except ImportError as error:
        raise BackendError(
            'backend: found openvino, which is not installed; run `pip install openvino`, or '
            'choose torch'
        ) from error
    return _kept(Core)


@cache
def _kept(make: Callable[[], Any]) -> Any:
    """Return the one core of this process, which stays until the process ends.

    Where the processor has AMX, a core gives the thread that makes it another stack for signals.
    If its last reference went in another thread, the stack would go with it, and the next Ctrl-C
    would crash the process.
    """
    return make()
