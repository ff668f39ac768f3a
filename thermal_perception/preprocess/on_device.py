"""From raw images to a network's input where the network runs: what the host does per pixel.

Every shape follows from those of the inputs, and nothing is copied from the host, so that it can
be part of a CUDA graph. No step is a matrix product, which half precision or TF32 would round.
"""

from __future__ import annotations

from typing import Any, TYPE_CHECKING

import torch
from torch import nn
from torch.nn.functional import pad

from thermal_perception.preprocess.image import padding_of

if TYPE_CHECKING:
    from torch import Tensor

    from thermal_perception.preprocess.image import PreprocessConfig

_TO_UNIT = 1 / 255


class TakesRaw(nn.Module):
    """A network that prepares its images itself: it takes the inputs of `raw`, not its own."""

    def __init__(self, network: nn.Module, config: PreprocessConfig) -> None:
        """Take over a network, and how it wants its images."""
        super().__init__()
        self.network = network
        self._config = config

    def forward(
        self, levels: Tensor | None, ramp: Tensor | None, *rgb: Tensor | None, **options: Any
    ) -> Any:
        """Prepare images, and run the network on them.

        Args:
            levels: (B, 1, H, W) int16, of which the bits are uint16; None if there are none.
            ramp: (B, 2) float32, offset and gain of each image; None if there are none.
            rgb: of a network for two cameras: (B, H, W, 3) uint8, B, G, R, or None.
            options: of the network; where they have `content`, no padding need be told.

        Returns:
            What the network gives for (thermal, padding) or (thermal, rgb, padding).
        """
        thermal = None if levels is None or ramp is None else self._thermal(levels, ramp)
        images = [thermal, *(None if image is None else self._colour(image) for image in rgb)]
        given = next(image for image in images if image is not None)
        padding = None if 'content' in options else self._padding(given)
        return self.network(*map(self._padded, images), padding, **options)

    def _thermal(self, levels: Tensor, ramp: Tensor) -> Tensor:
        """Return (B, 1, h, w) float32 in 0..1, resized."""
        return self._resized(stretched(levels, ramp))

    def _colour(self, image: Tensor) -> Tensor:
        """Return (B, 3, h, w) float32 in 0..1, R, G, B, resized to whole levels as on the host."""
        planes = image.permute(0, 3, 1, 2).flip(1).float()  # [batch, colour, height, width]
        return (self._resized(planes) + 0.5).floor() * _TO_UNIT

    def _resized(self, images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        return resized(images, self._config.resized((height, width)))

    def _padded(self, images: Tensor | None) -> Tensor | None:
        """Return (B, C, H, W), zero right of and below the images; None stays None."""
        if images is None:
            return None
        height, width = images.shape[-2:]
        down, across = self._config.padded((height, width))
        images = pad(images, (0, across - width, 0, down - height))
        return images.contiguous(memory_format=torch.channels_last)

    def _padding(self, images: Tensor) -> Tensor | None:
        """Return (B, H, W) bool, True where padded; None if nothing is."""
        height, width = images.shape[-2:]
        padded = self._config.padded((height, width))
        return padding_of((height, width), padded, batch=len(images), device=images.device)


def stretched(levels: Tensor, ramp: Tensor) -> Tensor:
    """Return clip((levels - offset) * gain, 0, 1), (B, 1, H, W) float32; see `TakesRaw`."""
    values = (levels.int() & 0xFFFF).float()  # what was above 32767 came as a negative number
    offset, gain = (part.view(-1, 1, 1, 1) for part in ramp.unbind(1))
    return ((values - offset) * gain).clamp(0, 1)


def resized(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize (B, C, H, W) float32 to (height, width) as OpenCV does on the host.

    Bilinear (INTER_LINEAR), averaging areas when shrinking (INTER_AREA); see `image.resize`.
    OpenCV leaves out areas below a thousandth of a pixel, which are not left out here.
    """
    weigh = _areas if size[0] < images.shape[-2] else _neighbours
    for dim, length in ((-2, size[0]), (-1, size[1])):
        if images.shape[dim] != length:
            images = _resampled(images, dim, weigh(images.shape[dim], length, images.device))
    return images


def _resampled(images: Tensor, dim: int, taps: list[tuple[Tensor, Tensor]]) -> Tensor:
    """Add up weighted rows (`dim` -2) or columns (-1); `taps` are their numbers and weights."""
    shape = (-1, 1) if dim == -2 else (-1,)
    first, *others = (images.index_select(dim, at) * weight.view(shape) for at, weight in taps)
    return sum(others, start=first)


# Of which pixels of a line of `length` each of `new` ones is made: places and weights of the first
# of them, of the second and so on, (new,) int64 and float32. Places are whole numbers of some
# fraction of a pixel, and so exact on every device.


def _areas(length: int, new: int, device: torch.device) -> list[tuple[Tensor, Tensor]]:
    """Weigh pixels by how much of them a new pixel covers, in units of 1 / new of one."""
    start = torch.arange(new, device=device) * length
    taps = []
    for step in range(-(-length // new) + 1):
        at = start // new + step
        covered = torch.minimum(start + length, (at + 1) * new) - torch.maximum(start, at * new)
        taps.append((at.clamp(max=length - 1), covered.clamp(min=0) / length))
    return taps


def _neighbours(length: int, new: int, device: torch.device) -> list[tuple[Tensor, Tensor]]:
    """Weigh the two pixels whose centres are next to that of a new one; units of 1 / (2 new)."""
    unit = 2 * new
    centre = (2 * torch.arange(new, device=device) + 1) * length - new
    centre = centre.clamp(0, unit * (length - 1))  # beyond the last centres nothing changes
    at = centre // unit
    share = (centre - at * unit) / unit
    return [(at, 1 - share), ((at + 1).clamp(max=length - 1), share)]
