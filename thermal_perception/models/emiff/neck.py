"""From a volume to a map seen from above.

Sources: `VoxelNeck` is that of Rukhovich et al., ImVoxelNet, arXiv 2106.01178, for outdoor scenes;
`FlatNeck` makes channels of the heights, as Harley et al., Simple-BEV, arXiv 2206.07959.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn
import torch.nn.functional as F

from thermal_perception.models.conv_norm import ConvNorm

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


class FlatResidual(nn.Module):
    """Two convolutions and a shortcut, seen from above."""

    def __init__(self, channels: int) -> None:
        """Create both."""
        super().__init__()
        self.first = ConvNorm(channels, channels, 3, activation='relu')
        self.second = ConvNorm(channels, channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape (B, C, ny, nx)."""
        return F.relu(x + self.second(self.first(x)), inplace=True)


class FlatNeck(nn.Module):
    """All heights of a place become its channels, then three residual blocks.

    What stands at a place shows in how its column changes with height, which one convolution sees
    as a whole here; in a volume it takes several, of four times the work.
    """

    def __init__(self, channels: int, heights: int, widths: tuple[int, int, int]) -> None:
        """Create the layers for volumes of `channels` and nz `heights`."""
        super().__init__()
        inputs = (channels * heights, *widths[:2])
        self.joints = nn.ModuleList(
            ConvNorm(before, width, 3, activation='relu') for before, width in zip(inputs, widths)
        )
        self.blocks = nn.ModuleList(FlatResidual(width) for width in widths)

    def forward(self, volume: Tensor) -> Tensor:
        """Map (B, channels, nx, ny, heights) to (B, widths[2], ny, nx)."""
        # As volumes lie in memory: nothing is copied, and x comes before y up to the end.
        columns = volume.permute(0, 2, 3, 4, 1).flatten(3)  # [batch, nx, ny, heights x channels]
        x = columns.permute(0, 3, 1, 2)
        for joint, block in zip(self.joints, self.blocks):
            x = block(joint(x))
        return x.transpose(2, 3)
