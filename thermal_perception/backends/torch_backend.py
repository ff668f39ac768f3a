"""Run a network in eager PyTorch."""

from __future__ import annotations

from typing import Any, TYPE_CHECKING

import torch
from torch.cuda import OutOfMemoryError

from thermal_perception.errors import BackendError
from thermal_perception.models.layers import channels_last

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from torch import nn, Tensor

_DEVICE_LOST = ('CUDA error', 'CUDA driver', 'cuDNN error', 'device-side assert', 'CUBLAS')


def choose_device(device: str) -> str:
    """Resolve `auto` to `cuda` where one works, else `cpu`, and check a named one.

    Raises:
        BackendError: if the device is unknown or not there.
    """
    if device == 'auto':
        return 'cuda' if torch.cuda.is_available() else 'cpu'
    if device.partition(':')[0] not in ('cpu', 'cuda'):
        raise BackendError(f'device: found {device!r}, expected auto, cpu, cuda or cuda:N')
    if device.startswith('cuda') and not torch.cuda.is_available():
        raise BackendError(
            f'device: found {device!r}, but this PyTorch {torch.__version__} sees no CUDA device',
            recoverable=True,
        )
    return device


class TorchBackend:
    """Eager PyTorch.

    Attributes:
        name: `torch`.
        precision: `fp32`.
        device: where the network is.
        problem: empty.
        notes: what is worth knowing of how it runs.
        live: makes no difference, as there is nothing to wait for.
    """

    name = 'torch'
    precision = 'fp32'
    problem = ''
    live = False

    def __init__(
        self, model: nn.Module, device: str, select: Callable[[Any], Any] | None = None
    ) -> None:
        """Move the network to the device, weights laid out channels last.

        Args:
            model: the network.
            device: where it runs.
            select: picks from its output what is worth fetching; None takes all of it.

        Raises:
            BackendError: if it does not fit there.
        """
        self.device = choose_device(device)
        self.notes: tuple[str, ...] = ()
        self._select = select or everything
        try:
            self._model = channels_last(model.eval().to(self.device))
        except (OutOfMemoryError, RuntimeError) as error:
            raise _translated(error, self.device) from error

    def _moved(self, value: Tensor) -> Tensor:
        if is_map(value):
            return value.to(self.device, memory_format=torch.channels_last)
        return value.to(self.device)

    @torch.inference_mode()
    def __call__(self, *inputs: Tensor | None, **options: Hashable) -> Any:
        """Run, and wait for the result.

        Errors of a GPU surface when its results are fetched, so that belongs to the run.

        Args:
            inputs: of the network; images (B, C, H, W) float32, padding (B, H, W) bool, or raw
                images of integers.
            options: switches of its `forward`.

        Returns:
            What was selected, on the CPU: whoever holds it does not depend on a device any more.

        Raises:
            BackendError: if the device is out of memory or lost.
        """
        try:
            moved = [None if value is None else self._moved(value) for value in inputs]
            return to_cpu(self._select(self._model(*moved, **options)))
        except (OutOfMemoryError, RuntimeError) as error:
            raise _translated(error, self.device) from error


def is_map(value: Tensor) -> bool:
    """Tell whether an input is (B, C, H, W), to be laid out channels last; raw images are not."""
    return value.dim() == 4 and value.is_floating_point()


def everything(output: Any) -> Any:
    """Select all."""
    return output


def to_cpu(output: Any) -> Any:
    """Copy tensors in tuples, named or not, to the CPU; None stays None."""
    return each(output, lambda value: value.cpu())


def each(output: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """Change tensors in tuples, named or not; None stays None."""
    if isinstance(output, tuple):
        parts = [each(part, change) for part in output]
        return type(output)(*parts) if hasattr(output, '_fields') else tuple(parts)
    return None if output is None else change(output)


def _translated(error: Exception, device: str) -> BackendError:
    gone = isinstance(error, OutOfMemoryError) or any(t in str(error) for t in _DEVICE_LOST)
    cause = 'out of memory' if isinstance(error, OutOfMemoryError) else str(error)
    return BackendError(
        f'torch on {device}: {cause}', recoverable=gone and not device.startswith('cpu')
    )
