"""Images on disk: read when asked, checked for a missing end, never guessed at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TYPE_CHECKING

import cv2
import numpy as np

from thermal_perception.errors import DatasetError
from thermal_perception.evaluation.from_files.images import read_label_map
from thermal_perception.evaluation.image_files import read_thermal_image

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

# Decoders fill what a cut-off file lacks with grey and say nothing.
_ENDS = {b'\xff\xd8\xff': b'\xff\xd9', b'\x89PNG': b'IEND\xaeB`\x82'}
_TAIL_BYTES = 1024  # some writers pad files after the end mark


@dataclass(frozen=True)
class Picture:
    """One image file and how to read it.

    Attributes:
        path: the file.
        kind: `thermal` gives (H, W) uint8 or uint16, `rgb` (H, W, 3) uint8 in B, G, R order,
            `mask` (H, W) uint8 class ids.
        packed: whether the file holds colour and thermal as four channels, thermal last.
        crop_px: pixels left out on every side.
    """

    path: Path
    kind: Literal['thermal', 'rgb', 'mask']
    packed: bool = False
    crop_px: int = 0

    def read(self) -> NDArray[Any]:
        """Decode the image.

        Raises:
            DatasetError: if the file is missing, cut off, no image, or of another kind.
        """
        check_complete(self.path)
        image = self._decode()
        margin = self.crop_px
        if min(image.shape[:2]) <= 2 * margin:
            raise DatasetError(
                f'{self.path}: found {image.shape[1]} x {image.shape[0]} pixels, expected more '
                f'than {2 * margin} for a crop of {margin} on every side'
            )
        height, width = image.shape[:2]
        return image[margin : height - margin, margin : width - margin]

    def _decode(self) -> NDArray[Any]:
        if self.packed:
            planes = _unchanged(self.path)
            if planes.ndim != 3 or planes.shape[2] != 4:
                found = 1 if planes.ndim == 2 else planes.shape[2]
                raise DatasetError(f'{self.path}: found {found} channels, expected 4')
            return np.ascontiguousarray(
                planes[..., 3] if self.kind == 'thermal' else planes[..., :3]
            )
        if self.kind == 'thermal':
            return read_thermal_image(self.path)
        return _colour(self.path) if self.kind == 'rgb' else read_label_map(self.path)


def check_complete(path: Path) -> None:
    """Refuse a missing, empty or cut-off JPEG or PNG without decoding it.

    Raises:
        DatasetError: naming the file and what is missing.
    """
    try:
        with path.open('rb') as file:
            start = file.read(4)
            size = file.seek(0, 2)
            file.seek(max(0, size - _TAIL_BYTES))
            tail = file.read()
    except OSError as error:
        raise DatasetError(f'{path}: cannot be read: {error.strerror}') from error
    if not start:
        raise DatasetError(f'{path}: is empty')
    for mark, end in _ENDS.items():
        if start.startswith(mark) and end not in tail:
            raise DatasetError(f'{path}: is cut off after {size} bytes, its end mark is missing')


def _unchanged(path: Path) -> NDArray[Any]:
    image = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise DatasetError(f'{path}: is not an image that OpenCV can decode')
    return image


def _colour(path: Path) -> NDArray[Any]:
    # A rotation noted in the file is ignored, as for thermal images and masks.
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    image = cv2.imdecode(np.fromfile(path, np.uint8), flags)
    if image is None:
        raise DatasetError(f'{path}: is not an image that OpenCV can decode')
    return image
