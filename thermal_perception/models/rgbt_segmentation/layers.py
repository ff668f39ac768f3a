"""Layers that fusion and decoder share; each works on padded images as if they ended earlier.

A padding is (B, h, w) bool, True where padded, at any resolution of its images, or None when no
image is padded. Padded cells of maps are held at zero, which is what a convolution sees beyond
the border.
"""

from __future__ import annotations

from typing import Literal, TYPE_CHECKING

from torch import nn, Tensor
import torch.nn.functional as F

from thermal_perception.models.e2e_mfd import padding as padded
from thermal_perception.models.e2e_mfd.convolutions import kaiming
from thermal_perception.models.fusion import masked_mean

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

_ACTIVATIONS: dict[str, tuple[Callable[[Tensor], Tensor], float]] = {
    'none': (lambda x: x, 1.0),
    'relu': (F.relu, 2**0.5),
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
        groups: int = 1,
        activation: Literal['none', 'relu', 'gelu'] = 'none',
    ) -> None:
        """Create it, Kaiming-normal, padded by half the kernel."""
        super().__init__()
        self._activation, gain = _ACTIVATIONS[activation]
        conv = nn.Conv2d(channels, out, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.conv = kaiming(conv, gain)
        self.norm = nn.BatchNorm2d(out)

    def forward(self, x: Tensor, padding: Tensor | None = None) -> Tensor:
        """Map (B, C, h, w) to (B, out, h / stride, w / stride), rounded up, zero where padded."""
        if not self.norm.training:
            y = self._folded(x)
            return blank(self._activation(y), padding)
        y = self.conv(x)
        y = padded.batch_norm(y, self.norm, padded.padding_at(padding, y.shape[-2:]))
        return blank(self._activation(y), padding)

    def _folded(self, x: Tensor) -> Tensor:
        """Convolve with the norm folded into the kernel, which spares a pass over the map."""
        norm, conv = self.norm, self.conv
        assert norm.running_mean is not None and norm.running_var is not None
        scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
        weight = conv.weight * scale[:, None, None, None]
        bias = norm.bias - norm.running_mean * scale
        return F.conv2d(x, weight, bias, conv.stride, conv.padding, conv.dilation, conv.groups)


class Separable(nn.Module):
    """Depthwise k x k, norm, GELU, 1x1, norm."""

    def __init__(self, channels: int, kernel: int) -> None:
        """Create it; the number of channels stays."""
        super().__init__()
        self.depthwise = ConvNorm(channels, channels, kernel, groups=channels, activation='gelu')
        self.pointwise = ConvNorm(channels, channels)

    def forward(self, x: Tensor, padding: Tensor | None = None) -> Tensor:
        """Map (B, C, h, w) to the same shape."""
        return self.pointwise(self.depthwise(x, padding), padding)


class ChannelGate(nn.Module):
    """Numbers in (0, 1) from what a map holds on average: 1x1, ReLU, 1x1, sigmoid."""

    def __init__(self, channels: int, hidden: int, out: int, *, bias: bool = False) -> None:
        """Create both convolutions."""
        super().__init__()
        self.squeeze = kaiming(nn.Conv2d(channels, hidden, 1, bias=bias))
        self.excite = kaiming(nn.Conv2d(hidden, out, 1, bias=bias), gain=1.0)

    def forward(self, x: Tensor, padding: Tensor | None = None) -> Tensor:
        """Map (B, C, h, w) to (B, out, 1, 1)."""
        return self.excite(F.relu(self.squeeze(average(x, padding)))).sigmoid()


def blank(x: Tensor, padding: Tensor | None) -> Tensor:
    """Set padded cells of (B, C, h, w) to zero."""
    return x if padding is None else padded.blank(x, padded.padding_at(padding, x.shape[-2:]))


def average(x: Tensor, padding: Tensor | None) -> Tensor:
    """Average (B, C, h, w) over the cells that are not padded -> (B, C, 1, 1)."""
    return masked_mean(x, padded.padding_at(padding, x.shape[-2:]))[:, :, None, None]


def resize(x: Tensor, size: torch.Size, padding: Tensor | None) -> Tensor:
    """Resize (B, C, h, w) bilinearly to `size` (height, width); corners are not aligned."""
    return blank(padded.enlarge(x, size, padded.padding_at(padding, x.shape[-2:])), padding)
