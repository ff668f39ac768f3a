"""Which backend runs a network."""

from __future__ import annotations

import logging
from typing import Any, NamedTuple, Protocol, TYPE_CHECKING

import torch

from thermal_perception.backends.cuda_graph_backend import CudaGraphBackend
from thermal_perception.backends.onnxruntime_backend import check_onnxruntime, OnnxRuntimeBackend
from thermal_perception.backends.openvino_backend import openvino_abilities, OpenVinoBackend
from thermal_perception.backends.tensorrt_backend import TensorRtBackend
from thermal_perception.backends.torch_backend import choose_device, TorchBackend
from thermal_perception.backends.torch_compile_backend import TorchCompileBackend
from thermal_perception.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    from torch import nn, Tensor

    from thermal_perception.backends.artefact import Origin

# What a processor may have, best first.
_WIDTHS = {'amx_bf16': 'AMX', 'avx512_f': 'AVX-512', 'avx2': 'AVX2'}
BACKENDS = (
    'auto',
    'torch',
    'cuda_graph',
    'torch_compile',
    'openvino',
    'onnxruntime',
    'tensorrt',
)
# Those that run the module itself, whatever it takes, and not a graph that others have compiled.
PYTORCH_BACKENDS = ('torch', 'cuda_graph', 'torch_compile')
_log = logging.getLogger(__name__)


class Choice(NamedTuple):
    """What `auto` is here.

    Attributes:
        backend: its name.
        reason: what was found, one clause.
    """

    backend: str
    reason: str


class Backend(Protocol):
    """A network on its device.

    Attributes:
        name: of the run-time.
        precision: of the network's inner values.
        device: where it runs.
        problem: why it does not run as it was asked to; empty if it does.
        notes: what is worth knowing of how it runs, such as why `auto` chose it.
        live: keep no call waiting for what is made first, such as a compiled graph.
    """

    name: str
    precision: str
    device: str
    problem: str
    notes: tuple[str, ...]
    live: bool

    def __call__(self, *inputs: Tensor | None, **options: Hashable) -> Any:
        """Run, and return what was selected, on the CPU; see `TorchBackend`."""


def make_backend(
    model: nn.Module,
    device: str = 'auto',
    select: Callable[[Any], Any] | None = None,
    *,
    backend: str = 'torch',
    precision: str = 'auto',
    origin: Origin | None = None,
) -> Backend:
    """Put a network where it runs.

    Args:
        model: the network.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        select: picks from its output what is worth fetching; None takes all of it.
        backend: `torch`, `cuda_graph` on a GPU, `torch_compile`, `openvino` on a CPU,
            `onnxruntime`, `tensorrt` on a GPU, or `auto`, which tells in the log what it took.
        precision: `auto`, `fp32`, `bf16`, `fp16` on a GPU, or `int8` on a CPU; not every backend
            has all, and `auto` is never int8.
        origin: of the network, by which a backend may find its artefact.

    Raises:
        BackendError: if the backend is unknown, not installed, or not for this device or
            precision; or if the network does not fit on the device.
    """
    if backend == 'auto':
        choice = choose_backend(device)
        _log.info('backend auto: %s, because %s', *choice)
        chosen = make_backend(
            model, device, select, backend=choice.backend, precision=precision, origin=origin
        )
        chosen.notes = (f'auto: {choice.reason}', *chosen.notes)
        return chosen
    if backend == 'openvino':
        if device not in ('auto', 'cpu'):
            raise BackendError(f'backend openvino: found device {device!r}, expected auto or cpu')
        return OpenVinoBackend(model, select, precision=precision, origin=origin)
    if backend == 'onnxruntime':
        return OnnxRuntimeBackend(model, select, device=device, precision=precision, origin=origin)
    if backend == 'tensorrt':
        return TensorRtBackend(model, select, device=device, precision=precision, origin=origin)
    if backend == 'cuda_graph':
        return CudaGraphBackend(model, select, device=device, precision=precision)
    if backend == 'torch_compile':
        return TorchCompileBackend(model, select, device=device, precision=precision)
    if backend != 'torch':
        raise BackendError(f'backend: found {backend!r}, expected one of {", ".join(BACKENDS)}')
    if precision not in ('auto', 'fp32'):
        raise BackendError(
            f'precision: found {precision!r}, expected auto or fp32 with the backend torch'
        )
    return TorchBackend(model, choose_device(device), select)


def choose_backend(device: str = 'auto') -> Choice:
    """Pick a backend by the hardware and by what is installed.

    It never fails: where nothing else can run, PyTorch runs or says why it cannot.

    Args:
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
    """
    where = choose_device(device) if device == 'auto' else device
    if where != 'cpu':
        return Choice('cuda_graph', f'{where} waits for launches, and a graph needs one a frame')
    try:
        abilities = openvino_abilities()
    except BackendError as error:
        return _without_openvino(error)
    flags: Mapping[str, object] = getattr(torch.cpu, 'get_capabilities', dict)()  # if it has it
    width = next((name for flag, name in _WIDTHS.items() if flags.get(flag)), 'no AVX known of')
    bf16 = 'bf16' if 'BF16' in abilities else 'no bf16'
    return Choice('openvino', f'it is installed, and the processor has {width} and {bf16}')


def cpu_threads() -> int:
    """Return with how many threads a backend computes on the CPU unless told otherwise."""
    return torch.get_num_threads()


def _without_openvino(missing: BackendError) -> Choice:
    try:
        check_onnxruntime()
    except BackendError as error:
        return Choice('torch', f'nothing else is there: {missing}; {error}')
    return Choice('onnxruntime', f'it is installed, and OpenVINO is not there: {missing}')


def backend_text(backend: Backend) -> str:
    """Tell run-time and precision, for example `openvino bf16`, and whether PyTorch helps out."""
    part = ', torch fp32 in part' if backend.problem else ''
    return f'{backend.name} {backend.precision}{part}'
