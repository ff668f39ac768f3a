"""Convolution, batch norm and activation as one layer, and how convolutions start."""

from __future__ import annotations

from functools import partial
from typing import Literal, TYPE_CHECKING, TypeVar

from torch import nn, Tensor
import torch.nn.functional as F

from thermal_perception.models.padding import batch_norm, blank

if TYPE_CHECKING:
    from collections.abc import Callable

Layer = TypeVar('Layer', nn.Conv2d, nn.Linear)

def _same(x: Tensor) -> Tensor:
    return x  # a name, so that networks can be sent to another process


_ACTIVATIONS: dict[str, tuple[Callable[[Tensor], Tensor], float]] = {
    'none': (_same, 1.0),
    'relu': (partial(F.relu, inplace=True), 2**0.5),
    'gelu': (F.gelu, 2**0.5),
}  # and the gain that keeps the variance of what it is given


class ConvNorm(nn.Module):
    """Convolution without bias, batch norm, activation; one convolution when it does not train."""

    def __init__(
        self,
        channels: int,
        out: int,
        kernel: int = 1,
        *,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        activation: Literal['none', 'relu', 'gelu'] = 'none',
    ) -> None:
        """Create it, Kaiming-normal, padded such that stride 1 keeps the size of an odd kernel."""
        super().__init__()
        self._activation, gain = _ACTIVATIONS[activation]
        padding = dilation * (kernel // 2)
        self.conv = kaiming(
            nn.Conv2d(channels, out, kernel, stride, padding, dilation, groups, bias=False), gain
        )
        self.norm = nn.BatchNorm2d(out)

    def forward(self, x: Tensor, padding: Tensor | None = None) -> Tensor:
        """Map (B, C, h, w) to (B, out, h / stride, w / stride), rounded up, zero where padded."""
        y = batch_norm(self.conv(x), self.norm, padding) if self.norm.training else self._folded(x)
        return blank(self._activation(y), padding, inplace=True)

    def _folded(self, x: Tensor) -> Tensor:
        """Convolve with the norm folded into the kernel, which spares a pass over the map."""
        norm, conv = self.norm, self.conv
        assert norm.running_mean is not None and norm.running_var is not None
        scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
        weight = conv.weight * scale[:, None, None, None]
        bias = norm.bias - norm.running_mean * scale
        return F.conv2d(x, weight, bias, conv.stride, conv.padding, conv.dilation, conv.groups)


def kaiming(layer: Layer, gain: float = 2**0.5) -> Layer:
    """Start normal with variance gain^2 / fan-in, which is Kaiming's for ReLU; bias at zero."""
    fan_in = layer.weight[0].numel()
    nn.init.normal_(layer.weight, std=gain / fan_in**0.5)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
