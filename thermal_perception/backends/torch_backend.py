"""Run a network in eager PyTorch."""

from __future__ import annotations

from typing import Any, NamedTuple, TYPE_CHECKING

import torch
from torch.cuda import OutOfMemoryError

from thermal_perception.errors import BackendError

if TYPE_CHECKING:
    from torch import nn, Tensor

    from thermal_perception.models.fusion import FusionOutput

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


class Predictions(NamedTuple):
    """What a network found, on the CPU: whoever holds it does not depend on a device any more.

    Attributes:
        logits: (B, Q, K or K+1).
        boxes: (B, Q, 4) cxcywh relative to the unpadded image.
        fusion: weights of the scales without the fused map; None where nothing is mixed.
    """

    logits: Tensor
    boxes: Tensor
    fusion: FusionOutput | None


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
        except (OutOfMemoryError, RuntimeError) as error:
            raise _translated(error, self.device) from error

    @torch.inference_mode()
    def __call__(self, image: Tensor, padding: Tensor | None) -> Predictions:
        """Run on (B, 1, H, W) float32 and (B, H, W) bool or None, and wait for the result.

        Errors of a GPU surface when its results are fetched, so that belongs to the run.

        Raises:
            BackendError: if the device is out of memory or lost.
        """
        try:
            image = image.to(self.device, memory_format=torch.channels_last)
            padding = None if padding is None else padding.to(self.device)
            return _fetched(self._model(image, padding))
        except (OutOfMemoryError, RuntimeError) as error:
            raise _translated(error, self.device) from error


def _fetched(output: Any) -> Predictions:
    fusion = output.fusion
    if fusion is not None:
        slim = fusion._replace(features=fusion.features[:, :0])
        fusion = type(fusion)(*(value.cpu() for value in slim))
    return Predictions(output.logits.cpu(), output.boxes.cpu(), fusion)


def _translated(error: Exception, device: str) -> BackendError:
    gone = isinstance(error, OutOfMemoryError) or any(t in str(error) for t in _DEVICE_LOST)
    cause = 'out of memory' if isinstance(error, OutOfMemoryError) else str(error)
    return BackendError(
        f'torch on {device}: {cause}', recoverable=gone and not device.startswith('cpu')
    )
