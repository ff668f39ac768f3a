"""Convolutions that several parts share, with biases and norms as the published weights have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from torch import Tensor


class ConvReLU(nn.Module):
    """3x3 convolution with bias, batch norm, ReLU."""

    def __init__(
        self, channels: int, out: int, *, stride: int = 1, eps: float = 1e-5, momentum: float = 0.1
    ) -> None:
        """Create it, Kaiming-normal."""
        super().__init__()
        self.conv = nn.Conv2d(channels, out, 3, stride, 1)
        self.norm = nn.BatchNorm2d(out, eps=eps, momentum=momentum)
        nn.init.kaiming_normal_(self.conv.weight, nonlinearity='relu')
        nn.init.zeros_(self.conv.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, h, w) to (B, out, h / stride, w / stride), rounded up, not negative."""
        return self.norm(self.conv(x)).relu_()


def double_conv(width: int, *, stride: int = 1) -> nn.Sequential:
    """Two 3x3 convolutions with norms and ReLUs; `stride` acts in the first."""
    return nn.Sequential(ConvReLU(width, width, stride=stride), ConvReLU(width, width))
