"""Colour images with their cameras, as networks that look at the world in 3D take them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, TYPE_CHECKING

import cv2
import numpy as np
import torch

from thermal_perception.errors import PreprocessError
from thermal_perception.geometry.camera import scale_K

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from thermal_perception.geometry.camera import Camera


@dataclass(frozen=True)
class ViewConfig:
    """What is done with an image.

    Attributes:
        resize_to: (height, width) that the image fits into; its sides keep their ratio.
        pad_multiple: zeros fill it up below and to the right to a multiple of this.
    """

    resize_to: tuple[int, int] = (540, 960)
    pad_multiple: int = 32

    @property
    def padded_size(self) -> tuple[int, int]:
        """(height, width) of what comes out."""
        height, width = (-(-n // self.pad_multiple) * self.pad_multiple for n in self.resize_to)
        return height, width


class PreparedView(NamedTuple):
    """One image as the network takes it, and its camera.

    Attributes:
        image: (3, H, W) float32 in 0..1, R, G, B, padded.
        K: (3, 3) float64 intrinsics of the resized, undistorted image, pixels.
        resize_factor: what both sides were multiplied by.
    """

    image: Tensor
    K: NDArray[np.float64]
    resize_factor: float


class ViewPreprocess:
    """Undistorts, resizes and pads images; every image comes out with one size."""

    def __init__(self, config: ViewConfig) -> None:
        """Start without any camera."""
        self.config = config
        self._maps: tuple[Any, Any] = (None, None)
        self._mapped: Camera | None = None  # that the maps undistort

    def __call__(self, image: NDArray[np.uint8], camera: Camera) -> PreparedView:
        """Prepare an image.

        Args:
            image: (H, W, 3) uint8, B, G, R.
            camera: of this image.

        Raises:
            PreprocessError: if the image is not of the camera's size.
        """
        if image.ndim != 3 or image.shape[:2] != camera.size:
            raise PreprocessError(
                f'image: found shape {image.shape}, expected {camera.size} and three channels'
            )
        if camera.D.any():
            image = self._undistorted(image, camera)
        height, width = self.config.resize_to
        factor = min(height / camera.size[0], width / camera.size[1])
        size = (
            min(height, round(camera.size[0] * factor)),
            min(width, round(camera.size[1] * factor)),
        )
        resized = cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA)
        padded = np.zeros((*self.config.padded_size, 3), np.uint8)
        padded[: size[0], : size[1]] = resized[:, :, ::-1]
        tensor = torch.from_numpy(padded).permute(2, 0, 1).float() / 255
        return PreparedView(tensor, scale_K(camera.K, camera.size, size), factor)

    def _undistorted(self, image: NDArray[np.uint8], camera: Camera) -> NDArray[np.uint8]:
        if self._mapped is not camera:
            self._maps = cv2.initUndistortRectifyMap(
                camera.K, camera.D, None, camera.K, camera.size[::-1], cv2.CV_16SC2
            )
            self._mapped = camera
        return np.asarray(cv2.remap(image, *self._maps, cv2.INTER_LINEAR), np.uint8)
