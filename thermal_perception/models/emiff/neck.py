"""From a volume to a map seen from above.

Source: Rukhovich et al., ImVoxelNet, arXiv 2106.01178, the neck for outdoor scenes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from torch import Tensor


class ConvNorm3d(nn.Module):
    """3x3x3 convolution without bias, norm."""

    def __init__(
        self,
        channels: int,
        out: int,
        *,
        stride: tuple[int, int, int] = (1, 1, 1),
        padding: tuple[int, int, int] = (1, 1, 1),
    ) -> None:
        """Create it, Kaiming-normal."""
        super().__init__()
        self.conv = nn.Conv3d(channels, out, 3, stride, padding, bias=False)
        self.norm = nn.BatchNorm3d(out)
        nn.init.kaiming_normal_(self.conv.weight, nonlinearity='relu')

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, nx, ny, nz) to (B, out, ...)."""
        return self.norm(self.conv(x))


class Residual(nn.Module):
    """Two convolutions and a shortcut."""

    def __init__(self, channels: int) -> None:
        """Create both."""
        super().__init__()
        self.first = ConvNorm3d(channels, channels)
        self.second = ConvNorm3d(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape (B, C, nx, ny, nz)."""
        return (x + self.second(self.first(x).relu_())).relu_()


class VoxelNeck(nn.Module):
    """Three residual blocks; between them z is halved, and at the end it is gone."""

    def __init__(self, widths: tuple[int, int, int]) -> None:
        """Create the layers; `widths` are the channels of the three blocks."""
        super().__init__()
        low, middle, high = widths
        self.blocks = nn.ModuleList(Residual(width) for width in widths)
        self.joints = nn.ModuleList(
            (
                ConvNorm3d(low, middle, stride=(1, 1, 2)),
                ConvNorm3d(middle, high, stride=(1, 1, 2)),
                ConvNorm3d(high, high, padding=(1, 1, 0)),
            )
        )

    def forward(self, volume: Tensor) -> Tensor:
        """Map (B, widths[0], nx, ny, nz), nz 9 to 12, to (B, widths[2], ny, nx)."""
        for block, joint in zip(self.blocks, self.joints):
            volume = joint(block(volume)).relu_()
        return volume.squeeze(-1).transpose(2, 3)
