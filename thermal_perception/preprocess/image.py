"""From one thermal frame to a model's input tensor, and the record to find the way back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple, TYPE_CHECKING

import cv2
import numpy as np
import torch

from thermal_perception.errors import ConfigError, PreprocessError
from thermal_perception.preprocess.thermal import make_thermal_transform

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from thermal_perception.preprocess.thermal import ThermalTransform
    from thermal_perception.types import Frame

MAX_SIDE = 8192


@dataclass(frozen=True)
class ThermalTransformConfig:
    """A thermal transform by name, with its parameters as plain values."""

    name: str
    params: dict[str, Any] = field(default_factory=dict)

    def make(self) -> ThermalTransform:
        """Build the transform."""
        return make_thermal_transform(self.name, **self.params)


@dataclass(frozen=True)
class PreprocessConfig:
    """How a model wants its image; part of every checkpoint.

    Attributes:
        thermal_8bit: transform of uint8 frames.
        thermal_16bit: transform of uint16 and float frames.
        short_side: resize so that the shorter side has this many pixels; None keeps the size.
        max_long_side: the longer side stays within this.
        pad_multiple: pad right and bottom to a multiple of this.
    """

    thermal_8bit: ThermalTransformConfig = ThermalTransformConfig('identity8')
    thermal_16bit: ThermalTransformConfig = ThermalTransformConfig('percentile')
    short_side: int | None = None
    max_long_side: int = 1333
    pad_multiple: int = 64

    def __post_init__(self) -> None:
        """Refuse sizes that no network takes."""
        if self.pad_multiple < 1 or self.max_long_side < 1 or (self.short_side or 1) < 1:
            raise ConfigError(
                f'preprocess: found short_side {self.short_side}, max_long_side '
                f'{self.max_long_side}, pad_multiple {self.pad_multiple}; expected positive'
            )

    def resized(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return the (height, width) an image of `size` is resized to, aspect kept."""
        short, long = min(size), max(size)
        factor = 1.0 if self.short_side is None else self.short_side / short
        factor = min(factor, self.max_long_side / long)
        if factor == 1.0:
            return size
        return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))

    def padded(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return (height, width) rounded up to the padding multiple."""
        m = self.pad_multiple
        return -(-size[0] // m) * m, -(-size[1] // m) * m


class Prepared(NamedTuple):
    """One model input.

    Attributes:
        image: (1, 1, H, W) float32 in 0..1.
        padding: (1, H, W) bool, True where padded; None if nothing is.
        source_size: (height, width) of the raw frame; with boxes relative to the unpadded image
            that is all it takes to get back.
        content_size: (height, width) of it in the tensor, the rest is padded.
    """

    image: Tensor
    padding: Tensor | None
    source_size: tuple[int, int]
    content_size: tuple[int, int]

    @property
    def inputs(self) -> tuple[Tensor | None, ...]:
        """What a network takes that is told the content's size, in its order."""
        return (self.image,)


class Preprocess:
    """Turns frames into model input; not thread-safe, because it reuses its buffer."""

    def __init__(self, config: PreprocessConfig) -> None:
        """Build both thermal transforms."""
        self.config = config
        self._transform_8bit = config.thermal_8bit.make()
        self._transform_16bit = config.thermal_16bit.make()
        self._buffer: NDArray[np.float32] | None = None
        self._padding: Tensor | None = None
        self._content: tuple[int, int] = (0, 0)

    def __call__(self, frame: Frame) -> Prepared:
        """Prepare a frame. The tensor is overwritten by the next call.

        Raises:
            PreprocessError: if the frame is not one grey image of usable size.
        """
        check_thermal(frame)
        content = self.config.resized(frame.size)
        buffer = self._buffer_for(content)
        target = buffer[: content[0], : content[1]]
        if content == frame.size and target.flags.c_contiguous:
            self.thermal(frame, out=target)
        elif content == frame.size:
            target[:] = self.thermal(frame)
        else:
            target[:] = resize(self.thermal(frame), content)
        return Prepared(torch.from_numpy(buffer)[None, None], self._padding, frame.size, content)

    def thermal(self, frame: Frame, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Apply the thermal transform for the frame's depth: (H, W) float32 in 0..1."""
        return self.transform_of(frame).apply(frame, out=out)

    def transform_of(self, frame: Frame) -> ThermalTransform:
        """Return the thermal transform for the frame's depth."""
        deep = frame.image.dtype != np.uint8
        return self._transform_16bit if deep else self._transform_8bit

    def _buffer_for(self, content: tuple[int, int]) -> NDArray[np.float32]:
        padded = self.config.padded(content)
        if self._buffer is None or self._content != content:
            self._buffer = np.zeros(padded, np.float32)
            self._content = content
            self._padding = padding_of(content, padded)
        return self._buffer


def padding_of(
    content: tuple[int, int],
    padded: tuple[int, int],
    *,
    batch: int = 1,
    device: torch.device | None = None,
) -> Tensor | None:
    """Return (B, H, W) bool, True right of and below the content; None if nothing is padded."""
    if padded == content:
        return None
    padding = torch.ones((batch, *padded), dtype=torch.bool, device=device)
    padding[:, : content[0], : content[1]] = False
    return padding


def resize(image: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """Resize (H, W) to (height, width): bilinear, averaging areas when shrinking."""
    shrink = size[0] < image.shape[0]
    interpolation = cv2.INTER_AREA if shrink else cv2.INTER_LINEAR
    resized: Any = cv2.resize(image, size[::-1], interpolation=interpolation)
    return resized


def check_thermal(frame: Frame) -> None:
    """Refuse what is no grey image of usable size.

    Raises:
        PreprocessError: if it is none.
    """
    shape = frame.image.shape
    if frame.image.ndim != 2 or min(shape) < 1 or max(shape) > MAX_SIDE:
        raise PreprocessError(
            f'frame {frame.frame_id!r} {frame.encoding}: found shape {shape}, expected one grey '
            f'image (H, W) with sides of 1..{MAX_SIDE} pixels'
        )
