"""Images as cameras give them, for networks that prepare images themselves.

The host finds limits and dead pixels, and equalises for CLAHE; `on_device` does the rest. A
thermal pixel travels in 16 bits whatever the camera's depth, so that one graph serves every depth:
bytes are widened, and floating point is stretched to 65,536 steps, off by 0.000008 at most.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TYPE_CHECKING

import numpy as np
import torch

from thermal_perception.preprocess.image import check_thermal, Preprocess
from thermal_perception.preprocess.levels import quantise
from thermal_perception.preprocess.pair import check_rgb

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from thermal_perception.preprocess.image import PreprocessConfig
    from thermal_perception.types import Frame, FrameSet


class RawImage(NamedTuple):
    """One thermal image before it is stretched.

    Attributes:
        levels: (1, 1, H, W) int16, of which the bits are uint16, a type that few of PyTorch's
            operations know.
        ramp: (1, 2) float32, offset and gain; see `Levels.ramp`.
        source_size: (height, width) of the raw frame.
        content_size: (height, width) that the network's device resizes it to.
    """

    levels: Tensor
    ramp: Tensor
    source_size: tuple[int, int]
    content_size: tuple[int, int]

    @property
    def inputs(self) -> tuple[Tensor | None, ...]:
        """What the network takes, in its order."""
        return self.levels, self.ramp


class RawPair(NamedTuple):
    """A thermal and a colour image.

    Attributes:
        thermal: None if the camera is missing.
        rgb: (1, H, W, 3) uint8, B, G, R; None if the camera is missing.
        source_size: (height, width) of the leading frame.
        content_size: (height, width) that the network's device resizes it to.
    """

    thermal: RawImage | None
    rgb: Tensor | None
    source_size: tuple[int, int]
    content_size: tuple[int, int]

    @property
    def inputs(self) -> tuple[Tensor | None, ...]:
        """What the network takes, in its order."""
        thermal = (None, None) if self.thermal is None else self.thermal.inputs
        return *thermal, self.rgb


class RawPreprocess:
    """Does with a frame what only the host does; not thread-safe, because it reuses its buffer."""

    def __init__(self, config: PreprocessConfig) -> None:
        """Build both thermal transforms."""
        self._preprocess = Preprocess(config)
        self._buffer = np.empty((0, 0), np.uint16)

    def __call__(self, frame: Frame) -> RawImage:
        """Find the levels of a frame. Their tensor is overwritten by the next call.

        Raises:
            PreprocessError: see `Preprocess`.
        """
        check_thermal(frame)
        levels = self._preprocess.transform_of(frame).levels(frame)
        if levels.image.dtype == np.float32:
            levels = quantise(levels, 16)
        self._buffer = _copied(levels.image, self._buffer)
        image = torch.from_numpy(self._buffer.view(np.int16))[None, None]
        ramp = torch.tensor([levels.ramp], dtype=torch.float32)
        return RawImage(image, ramp, frame.size, self._preprocess.config.resized(frame.size))


class RawPairPreprocess:
    """`RawPreprocess` for two registered frames; not thread-safe, because it reuses buffers."""

    def __init__(self, config: PreprocessConfig) -> None:
        """Build the thermal transforms."""
        self._config = config
        self._thermal = RawPreprocess(config)
        self._buffer = np.empty((0, 0, 3), np.uint8)

    def __call__(self, frames: FrameSet) -> RawPair:
        """Bring one or two frames together. The tensors are overwritten by the next call.

        Raises:
            PreprocessError: see `PairPreprocess`.
        """
        size = frames.leader.size
        thermal = rgb = None
        if frames.rgb is not None:
            check_rgb(frames.rgb, size)
            self._buffer = _copied(frames.rgb.image, self._buffer)
            rgb = torch.from_numpy(self._buffer)[None]
        if frames.thermal is not None:
            thermal = self._thermal(frames.thermal)
        return RawPair(thermal, rgb, size, self._config.resized(size))


def _copied(image: NDArray[Any], buffer: NDArray[Any]) -> NDArray[Any]:
    """Return the image in a buffer of its type, which is this one if it fits.

    Images are views of messages, with gaps between their rows and not to be written to.
    """
    if buffer.shape != image.shape:
        buffer = np.empty(image.shape, buffer.dtype)
    np.copyto(buffer, image)
    return buffer
