"""From a thermal and a colour frame, registered to each other, to a model's input tensors."""

from __future__ import annotations

from typing import Any, NamedTuple, TYPE_CHECKING

import cv2
import numpy as np
import torch

from thermal_perception.errors import PreprocessError
from thermal_perception.preprocess.image import MAX_SIDE, padding_of, Preprocess

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from thermal_perception.preprocess.image import PreprocessConfig
    from thermal_perception.types import Frame, FrameSet

_TO_UNIT = np.float32(1 / 255)


class PreparedPair(NamedTuple):
    """One model input.

    Attributes:
        thermal: (1, 1, H, W) float32 in 0..1; None if the camera is missing.
        rgb: (1, 3, H, W) float32 in 0..1, R, G, B; None if the camera is missing.
        padding: (1, H, W) bool, True where padded; None if nothing is.
        source_size: (height, width) of the leading frame.
        content_size: (height, width) of its image in the tensors, the rest is padded.
    """

    thermal: Tensor | None
    rgb: Tensor | None
    padding: Tensor | None
    source_size: tuple[int, int]
    content_size: tuple[int, int]

    @property
    def inputs(self) -> tuple[Tensor | None, ...]:
        """What the network takes, in its order."""
        return self.thermal, self.rgb, self.padding


class PairPreprocess:
    """Turns sets of frames into model input; not thread-safe, because it reuses its buffers."""

    def __init__(self, config: PreprocessConfig) -> None:
        """Build the thermal transforms."""
        self.config = config
        self._thermal = Preprocess(config)
        self._planes = np.zeros((3, 0, 0), np.float32)
        self._content = (0, 0)

    def __call__(self, frames: FrameSet) -> PreparedPair:
        """Prepare one or two frames. The tensors are overwritten by the next call.

        Raises:
            PreprocessError: if a frame is of no usable size, or the colour frame not registered
                to the thermal one: of the same size, pixel by pixel.
        """
        size = frames.leader.size
        content = self.config.resized(size)
        if frames.rgb is None:
            assert frames.thermal is not None  # a set holds at least one
            prepared = self._thermal(frames.thermal)
            return PreparedPair(prepared.image, None, prepared.padding, size, content)
        check_rgb(frames.rgb, size)
        rgb = self._rgb(frames.rgb, content)
        if frames.thermal is None:
            padding = padding_of(content, self.config.padded(content))
            return PreparedPair(None, rgb, padding, size, content)
        prepared = self._thermal(frames.thermal)
        return PreparedPair(prepared.image, rgb, prepared.padding, size, content)

    def _rgb(self, frame: Frame, content: tuple[int, int]) -> Tensor:
        """Return (1, 3, H, W) in 0..1, planes R, G, B of the (H, W, 3) B, G, R frame."""
        height, width = content
        if self._content != content:
            self._planes = np.zeros((3, *self.config.padded(content)), np.float32)
            self._content = content
        for plane, channel in zip(self._planes, cv2.split(_sized(frame.image, content))[::-1]):
            np.multiply(channel, _TO_UNIT, out=plane[:height, :width])
        return torch.from_numpy(self._planes)[None]


def _sized(image: NDArray[Any], size: tuple[int, int]) -> NDArray[np.uint8]:
    if image.shape[:2] == size:
        return image
    shrink = size[0] < image.shape[0]
    interpolation = cv2.INTER_AREA if shrink else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, size[::-1], interpolation=interpolation), np.uint8)


def check_rgb(frame: Frame, size: tuple[int, int]) -> None:
    """Refuse what is no colour image registered to a leading one of (height, width).

    Raises:
        PreprocessError: if it is none.
    """
    image = frame.image
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise PreprocessError(
            f'frame {frame.frame_id!r} {frame.encoding}: found {image.dtype} {image.shape}, '
            'expected a colour image (H, W, 3) uint8'
        )
    if min(frame.size) < 1 or max(frame.size) > MAX_SIDE:
        raise PreprocessError(
            f'frame {frame.frame_id!r} {frame.encoding}: found shape {image.shape}, expected '
            f'sides of 1..{MAX_SIDE} pixels'
        )
    if frame.size != size:
        raise PreprocessError(
            f'frame {frame.frame_id!r}: found {frame.size[1]} x {frame.size[0]} pixels beside a '
            f'thermal image of {size[1]} x {size[0]}, expected it registered to the thermal image'
        )
