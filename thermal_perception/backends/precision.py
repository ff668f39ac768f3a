"""Inner values of a network in half precision, inputs and outputs in single precision."""

from __future__ import annotations

from typing import Any, TYPE_CHECKING

import torch

from thermal_perception.backends.torch_backend import each, is_map
from thermal_perception.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from torch import nn, Tensor

_HALF = {'bf16': torch.bfloat16, 'fp16': torch.float16}
_AMPERE = (8, 0)  # the first compute capability that multiplies bf16


class InPrecision:
    """A network whose inner values have a precision; its weights stay as they are."""

    def __init__(
        self, model: nn.Module, select: Callable[[Any], Any], device: str, precision: str
    ) -> None:
        """Take over a network.

        Args:
            model: the network, on the device.
            select: picks from its output what is worth fetching.
            device: `cpu`, `cuda` or `cuda:N`.
            precision: `fp32`, `bf16` or `fp16`.
        """
        self._model, self._select = model, select
        self._kind, self._half = device.partition(':')[0], _HALF.get(precision)

    def __call__(self, *inputs: Tensor | None, **options: Hashable) -> Any:
        """Return what was selected, contiguous tensors on the device, float32 where half."""
        images = [None if x is None else _channels_last(x) for x in inputs]
        # Without a cache: a graph that is replayed must hold the rounding of the weights, too.
        with torch.autocast(
            self._kind, dtype=self._half, enabled=self._half is not None, cache_enabled=False
        ):
            found = self._select(self._model(*images, **options))
        return each(found, _plain)


def choose_precision(precision: str, device: str) -> str:
    """Resolve `auto` to `bf16` where the device multiplies it, else `fp32`, and check a named one.

    Args:
        precision: `auto`, `fp32`, `bf16`, or on a GPU `fp16`.
        device: `cpu`, `cuda` or `cuda:N`.

    Raises:
        BackendError: if the precision is unknown, or not there on this device.
    """
    half = ('bf16',) if device == 'cpu' else ('bf16', 'fp16')
    if precision not in ('auto', 'fp32', *half):
        expected = ', '.join(('auto', 'fp32', *half))
        raise BackendError(f'precision: found {precision!r}, expected one of {expected}')
    fast = _multiplies_bf16(device)
    if precision == 'bf16' and not fast:
        raise BackendError(
            f'precision: found bf16, but {device} does not multiply it; expected auto or fp32'
        )
    if precision == 'auto':
        return 'bf16' if fast else 'fp32'
    return precision


def _multiplies_bf16(device: str) -> bool:
    if device != 'cpu':
        return torch.cuda.get_device_capability(device) >= _AMPERE
    flags: dict[str, Any] = getattr(torch.cpu, 'get_capabilities', dict)()  # if it has it
    return bool(flags.get('amx_bf16') or flags.get('avx512_bf16'))


def _channels_last(value: Tensor) -> Tensor:
    return value.contiguous(memory_format=torch.channels_last) if is_map(value) else value


def _plain(value: Tensor) -> Tensor:
    return (value.float() if value.dtype in _HALF.values() else value).contiguous()
