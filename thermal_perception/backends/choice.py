"""Which backend runs a network."""

from __future__ import annotations

from typing import Any, Protocol, TYPE_CHECKING

from thermal_perception.backends.openvino_backend import OpenVinoBackend
from thermal_perception.backends.torch_backend import choose_device, TorchBackend
from thermal_perception.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn, Tensor


class Backend(Protocol):
    """A network on its device.

    Attributes:
        name: of the run-time.
        precision: of the network's inner values.
        device: where it runs.
        problem: why it does not run as it was asked to; empty if it does.
        live: keep no call waiting for what is made first, such as a compiled graph.
    """

    name: str
    precision: str
    device: str
    problem: str
    live: bool

    def __call__(self, *inputs: Tensor | None, **options: bool) -> Any:
        """Run, and return what was selected, on the CPU; see `TorchBackend`."""


def make_backend(
    model: nn.Module,
    device: str = 'auto',
    select: Callable[[Any], Any] | None = None,
    *,
    backend: str = 'torch',
    precision: str = 'auto',
) -> Backend:
    """Put a network where it runs.

    Args:
        model: the network.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        select: picks from its output what is worth fetching; None takes all of it.
        backend: `torch`, or `openvino` on a CPU.
        precision: `auto`, `fp32` or `bf16`; PyTorch has single precision alone.

    Raises:
        BackendError: if the backend is unknown, not installed, or not for this device or
            precision; or if the network does not fit on the device.
    """
    if backend == 'openvino':
        if device not in ('auto', 'cpu'):
            raise BackendError(f'backend openvino: found device {device!r}, expected auto or cpu')
        return OpenVinoBackend(model, select, precision=precision)
    if backend != 'torch':
        raise BackendError(f'backend: found {backend!r}, expected torch or openvino')
    if precision not in ('auto', 'fp32'):
        raise BackendError(
            f'precision: found {precision!r}, expected auto or fp32 with the backend torch'
        )
    return TorchBackend(model, choose_device(device), select)
