"""Run a network in eager PyTorch, and fall back to the CPU when the GPU gives up."""

from __future__ import annotations

from typing import Any, TYPE_CHECKING

import torch

from thermal_perception.errors import BackendError

if TYPE_CHECKING:
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
    """

    name = 'torch'
    precision = 'fp32'

    def __init__(self, model: nn.Module, device: str) -> None:
        """Move the network to the device, weights laid out channels last.

        Raises:
            BackendError: if it does not fit there.
        """
        self.device = choose_device(device)
        try:
            layout: Any = {'memory_format': torch.channels_last}  # unknown to the type stubs
            self._model = model.eval().to(self.device, **layout)
        except (torch.OutOfMemoryError, RuntimeError) as error:
            raise _translated(error, self.device) from error

    @torch.inference_mode()
    def __call__(self, image: Tensor, padding: Tensor | None) -> Any:
        """Run on (B, 1, H, W) float32 and (B, H, W) bool or None; the output is on the device.

        Raises:
            BackendError: if the device is out of memory or lost.
        """
        try:
            image = image.to(self.device, memory_format=torch.channels_last)
            return self._model(image, None if padding is None else padding.to(self.device))
        except (torch.OutOfMemoryError, RuntimeError) as error:
            raise _translated(error, self.device) from error

    def to_cpu(self) -> TorchBackend:
        """Return this network on the CPU."""
        return TorchBackend(self._model, 'cpu')


def _translated(error: Exception, device: str) -> BackendError:
    gone = isinstance(error, torch.OutOfMemoryError) or any(t in str(error) for t in _DEVICE_LOST)
    cause = 'out of memory' if isinstance(error, torch.OutOfMemoryError) else str(error)
    return BackendError(
        f'torch on {device}: {cause}', recoverable=gone and not device.startswith('cpu')
    )
