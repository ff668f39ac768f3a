"""What is sent: the finest map of the roadside camera, with few channels and few cells.

Source: EMIFF, arXiv 2402.15272, feature compression; its released code for kernels and norms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn, Tensor

from thermal_perception.models.emiff.layers import ConvReLU, double_conv

if TYPE_CHECKING:
    from collections.abc import Iterable

    from thermal_perception.models.emiff.config import CompressionLevel

_EPS, _MOMENTUM = 1e-3, 0.01
SCALES = 4


class Compressor(nn.Module):
    """Width to width / c channels, then s halvings; what comes out is not negative."""

    def __init__(self, width: int, level: CompressionLevel) -> None:
        """Create the convolutions."""
        super().__init__()
        kept = width // level.c
        self.squeeze = _conv(width, kept)
        self.halve = nn.Sequential(*(_conv(kept, kept, stride=2) for _ in range(level.s)))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, width, h, w) to (B, width / c, h / 2^s, w / 2^s), rounded up."""
        return self.halve(self.squeeze(x))


class Decompressor(nn.Module):
    """The way back, to a map of the finest scale."""

    def __init__(self, width: int, level: CompressionLevel) -> None:
        """Create the convolutions."""
        super().__init__()
        kept = width // level.c
        self.enlarge = nn.Sequential(
            *(nn.ConvTranspose2d(kept, kept, 4, 2, 1, bias=False) for _ in range(level.s))
        )
        self.widen = nn.Sequential(_conv(kept, width), _conv(width, width))

    def forward(self, z: Tensor) -> Tensor:
        """Map (B, width / c, h, w) to (B, width, h 2^s, w 2^s)."""
        return self.widen(self.enlarge(z))


class ScaleRebuild(nn.Module):
    """Four scales again, of the one that was sent."""

    def __init__(self, width: int) -> None:
        """Create a double convolution per scale; all but the first halve the map."""
        super().__init__()
        self.steps = nn.ModuleList(
            double_conv(width, stride=2 if scale else 1) for scale in range(SCALES)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """Map (B, width, h, w) to four maps, finest first, each half the one before."""
        maps = []
        for step in self.steps:
            x = step(x)
            maps.append(x)
        return maps


def compressors(width: int, levels: Iterable[CompressionLevel]) -> nn.ModuleDict:
    """One compressor per level, by its name."""
    return nn.ModuleDict({level.name: Compressor(width, level) for level in levels})


def decompressors(width: int, levels: Iterable[CompressionLevel]) -> nn.ModuleDict:
    """One decompressor per level, by its name."""
    return nn.ModuleDict({level.name: Decompressor(width, level) for level in levels})


def _conv(channels: int, out: int, *, stride: int = 1) -> ConvReLU:
    return ConvReLU(channels, out, stride=stride, eps=_EPS, momentum=_MOMENTUM)
