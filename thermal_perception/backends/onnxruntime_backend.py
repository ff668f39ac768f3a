"""Run a network in ONNX Runtime, on a CPU or an NVIDIA GPU."""

from __future__ import annotations

from typing import Any, TYPE_CHECKING

import torch

from thermal_perception.backends.compiled import CompiledBackend
from thermal_perception.backends.runtime import Compiled
from thermal_perception.backends.torch_backend import choose_device
from thermal_perception.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import nn

    from thermal_perception.backends.artefact import Origin

_CPU, _CUDA = 'CPUExecutionProvider', 'CUDAExecutionProvider'


class OnnxRuntime:
    """ONNX Runtime on one device; see `Runtime`."""

    name = 'onnxruntime'
    title = 'ONNX Runtime'
    graph_format = 'onnx'
    precision = 'fp32'
    errors: tuple[type[Exception], ...] = (Exception,)  # its many have nothing else in common

    def __init__(self, device: str = 'auto', *, precision: str = 'auto') -> None:
        """Check a device and a precision; `auto` takes a GPU if there is one for it, and fp32.

        With int8, which is for a CPU, `auto` takes that.

        Raises:
            BackendError: if ONNX Runtime is not installed, or has no such device or precision.
        """
        self._onnxruntime = _onnxruntime()
        if precision not in ('auto', 'fp32', 'int8'):
            raise BackendError(
                f'precision: found {precision!r}, expected auto, fp32 or int8 with the backend '
                f'{self.name}'
            )
        if precision == 'int8':
            device, self.precision = 'cpu' if device == 'auto' else device, 'int8'
        self.device: str = self._checked(device)
        if self.precision == 'int8' and self.device != 'cpu':
            raise BackendError(
                f'device: found {device!r}, expected auto or cpu with the precision int8'
            )

    def compile(self, path: Path) -> Compiled:
        """Compile a graph; see `Runtime`."""
        session = self._session(path, self._providers())
        names = [value.name for value in session.get_inputs()]

        def run(arrays: list[NDArray[Any]]) -> Sequence[NDArray[Any]]:
            return session.run(None, dict(zip(names, arrays, strict=True)))

        return Compiled(run, len(session.get_outputs()))

    def _session(self, path: Path, providers: list[Any]) -> Any:
        """Return a session whose first provider has started."""
        options = self._onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3  # errors; warnings tell what runs on the CPU beside a GPU
        # Between two images its threads leave the processor to others.
        options.add_session_config_entry('session.force_spinning_stop', '1')
        session = self._onnxruntime.InferenceSession(path, options, providers=providers)
        first = providers[0] if isinstance(providers[0], str) else providers[0][0]
        if first not in session.get_providers():
            raise BackendError(f'{first} does not start')
        return session

    def _providers(self) -> list[Any]:
        """Return those that are to run a graph, best first."""
        if self.device == 'cpu':
            return [_CPU]
        return [(_CUDA, {'device_id': self._number, 'use_tf32': '0'}), _CPU]  # fp32 is fp32

    @property
    def _number(self) -> str:
        """Number of the GPU."""
        return self.device.partition(':')[2] or '0'

    def _checked(self, device: str) -> str:
        chosen = choose_device(device)
        if chosen == 'cpu' or _CUDA in self._onnxruntime.get_available_providers():
            return chosen
        if device == 'auto':
            return 'cpu'
        raise BackendError(
            f'device: found {device!r}, but this ONNX Runtime {self._onnxruntime.__version__} '
            f'has no {_CUDA}; run `pip install onnxruntime-gpu`, or choose cpu'
        )


class OnnxRuntimeBackend(CompiledBackend):
    """A network in ONNX Runtime; `precision` is `fp32`, or `int8` on a CPU by an artefact."""

    def __init__(
        self,
        model: nn.Module,
        select: Callable[[Any], Any] | None = None,
        *,
        device: str = 'auto',
        precision: str = 'auto',
        origin: Origin | None = None,
    ) -> None:
        """Take over a network; see `CompiledBackend` and `OnnxRuntime`.

        Raises:
            BackendError: if ONNX Runtime is not installed, or has no such device or precision; or
                with int8, if there is no artefact.
        """
        super().__init__(OnnxRuntime(device, precision=precision), model, select, origin=origin)


def check_onnxruntime() -> None:
    """See whether ONNX Runtime is there.

    Raises:
        BackendError: if it is not installed.
    """
    _onnxruntime()


def _onnxruntime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise BackendError(
            'backend: found onnxruntime, which is not installed; run `pip install onnxruntime`, '
            'or choose torch'
        ) from error
    return onnxruntime
