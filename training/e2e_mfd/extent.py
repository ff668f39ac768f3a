"""Where images end that are padded at the right and at the bottom.

Losses must be what they are for the image alone: means leave padded pixels out, and filters meet
the border of the image where the image ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Sequence

Border = Literal['zero', 'replicate']


@dataclass(frozen=True)
class Extent:
    """Sizes of images within the tensors (B, C, H, W) that hold them.

    Attributes:
        heights: (B,) int64 rows of each image, or (1,) if all have the same.
        widths: (B,) or (1,) int64 columns.
        shape: H and W of the tensors.
    """

    heights: Tensor
    widths: Tensor
    shape: tuple[int, int]

    @classmethod
    def of(cls, image: Tensor, padding: Tensor | None) -> Extent:
        """Read the sizes.

        Args:
            image: (B, C, H, W), for its shape and device.
            padding: (B, H, W) bool, True where padded; None if nothing is.
        """
        height, width = image.shape[-2:]
        if padding is None:
            sizes = torch.tensor([[height], [width]], device=image.device)
            return cls(sizes[0], sizes[1], (height, width))
        return cls((~padding).any(2).sum(1), (~padding).any(1).sum(1), (height, width))

    @property
    def inside(self) -> Tensor:
        """(B or 1, 1, H, W) bool, True where there is an image."""
        rows = torch.arange(self.shape[0], device=self.heights.device) < self.heights[:, None]
        columns = torch.arange(self.shape[1], device=self.widths.device) < self.widths[:, None]
        return rows[:, None, :, None] & columns[:, None, None]

    def clean(self, image: Tensor) -> Tensor:
        """Return an image (B, C, H, W) with zeros where it is padded, whatever was there."""
        return image.masked_fill(~self.inside, 0.0)

    def sums(self, values: Tensor) -> Tensor:
        """Return (B, C) sums over the pixels of each image of (B, C, H, W)."""
        return self.clean(values).sum((-2, -1))

    def means(self, values: Tensor) -> Tensor:
        """Return (B, C) means over the pixels of each image of (B, C, H, W); 0 without any."""
        return self.sums(values) / (self.heights * self.widths).clamp(min=1)[:, None]

    def mean(self, values: Tensor) -> Tensor:
        """Return the mean over all pixels and channels of all images of (B, C, H, W)."""
        inside = self.inside.expand(len(values), values.shape[1], -1, -1)
        return self.clean(values).sum() / inside.sum().clamp(min=1)

    def shrunk(self, margin: int) -> Extent:
        """Return the extent of what filters that fit `margin` + 1 pixels leave of images."""
        return Extent(
            (self.heights - margin).clamp(min=0),
            (self.widths - margin).clamp(min=0),
            (max(0, self.shape[0] - margin), max(0, self.shape[1] - margin)),
        )

    def every_other(self) -> Extent:
        """Return the extent of images of which every other row and column is kept."""
        height, width = self.shape
        return Extent(
            (self.heights + 1) // 2, (self.widths + 1) // 2, ((height + 1) // 2, (width + 1) // 2)
        )

    def halved(self) -> Extent:
        """Return the extent of images of which 2 x 2 pixels become one, odd ones left out."""
        height, width = self.shape
        return Extent(self.heights // 2, self.widths // 2, (height // 2, width // 2))

    def blur(self, image: Tensor, window: Sequence[float], border: Border) -> Tensor:
        """Filter images (B, C, H, W) along rows and columns by a symmetric window of odd length.

        Beyond the border images are continued by zeros, or by their outermost pixels.
        """
        rows = _matrix(self.heights, self.shape[0], image.new_tensor(window), border)
        columns = _matrix(self.widths, self.shape[1], image.new_tensor(window), border)
        return rows[:, None] @ image @ columns[:, None].mT


def blur_inside(image: Tensor, window: Sequence[float]) -> Tensor:
    """Filter (B, C, H, W) where a window of n fits: (B, C, H - n + 1, W - n + 1)."""
    height, width = (side - len(window) + 1 for side in image.shape[-2:])
    weights = image.new_tensor(window)
    return _slide(weights, height) @ image @ _slide(weights, width).mT


def gaussian(side: int, sigma: float) -> list[float]:
    """Return a Gaussian window of `side` pixels whose weights sum to one."""
    offsets = torch.arange(side, dtype=torch.float64) - (side - 1) / 2
    weights = torch.exp(-offsets.square() / (2 * sigma**2))
    values: list[float] = (weights / weights.sum()).tolist()
    return values


def _slide(window: Tensor, count: int) -> Tensor:
    """Return the matrix (count, count + n - 1) whose row i holds the window (n,) from column i."""
    place = torch.arange(count + len(window) - 1, device=window.device)
    place = place - torch.arange(count, device=window.device)[:, None]
    hit = (place >= 0) & (place < len(window))
    return torch.where(hit, window[place.clamp(0, len(window) - 1)], 0.0)


def _matrix(lengths: Tensor, full: int, window: Tensor, border: Border) -> Tensor:
    """Return the matrices (B, full, full) that filter lines of B lengths along one axis.

    A product with a banded matrix is exact at borders of any place, and on CPUs three times as
    fast as a convolution of one channel.
    """
    half = len(window) // 2
    slide = _slide(window, full)
    before, line = slide[:, :half].sum(1), slide[:, half:]  # columns beyond the end stay
    column = torch.arange(line.shape[1], device=line.device)
    beyond = column >= lengths[:, None, None]
    kept = line.masked_fill(beyond, 0.0)  # [length, row, column]
    if border == 'replicate':
        after = line.where(beyond, 0.0).sum(-1, keepdim=True)
        last = column == lengths[:, None, None] - 1
        kept = kept + after * last + before[:, None] * (column == 0)
    return kept[..., :full]
