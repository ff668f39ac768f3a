"""Images on disk as the frames that cameras would have sent."""

from __future__ import annotations

from typing import Any, TYPE_CHECKING

import cv2
import numpy as np

from thermal_perception.errors import DatasetError
from thermal_perception.types import Frame

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

IMAGE_SUFFIXES = ('.png', '.jpg', '.jpeg', '.tif', '.tiff', '.webp', '.bmp')

_COUNTS_MAX = 2**14 - 1
_COUNTS_LOW = (1000.0, 8000.0)
_COUNTS_SPAN = (500.0, 6000.0)


def list_images(folder: Path) -> list[Path]:
    """Return the image files of a folder, ordered by name.

    Raises:
        DatasetError: if there is none.
    """
    if not folder.is_dir():
        raise DatasetError(f'{folder}: is not a folder')
    files = sorted(p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
    if not files:
        raise DatasetError(f'{folder}: holds no image, expected {", ".join(IMAGE_SUFFIXES)}')
    return files


def read_thermal_image(path: Path) -> NDArray[Any]:
    """Read a grey image, (H, W) uint8 or uint16; colour files become grey.

    Raises:
        DatasetError: if the file is missing, is no image, or holds another kind of pixel.
    """
    image = decode(path, cv2.IMREAD_UNCHANGED)
    if image.dtype not in (np.uint8, np.uint16):
        raise DatasetError(f'{path}: found {image.dtype} pixels, expected 8 or 16 bits')
    if image.ndim == 3:
        code = cv2.COLOR_BGRA2GRAY if image.shape[2] == 4 else cv2.COLOR_BGR2GRAY
        image = cv2.cvtColor(image, code)
    return image


def read_colour_image(path: Path) -> NDArray[np.uint8]:
    """Read (H, W, 3) uint8, blue first; grey files get three equal channels.

    Raises:
        DatasetError: if the file is missing or is no image.
    """
    return np.asarray(decode(path, cv2.IMREAD_COLOR), np.uint8)


def decode(path: Path, flags: int) -> NDArray[Any]:
    """Read an image as OpenCV's `flags` say.

    Raises:
        DatasetError: if the file is missing or is no image.
    """
    # imdecode, unlike imread, keeps quiet about a damaged file and tells a missing one apart.
    try:
        content = np.fromfile(path, np.uint8)
    except OSError as error:
        raise DatasetError(f'{path}: cannot be read: {error.strerror}') from error
    image = cv2.imdecode(content, flags) if content.size else None
    if image is None:
        raise DatasetError(f'{path}: is not an image that OpenCV can decode')
    return np.asarray(image)


def thermal_frame(
    image: NDArray[Any],
    *,
    valid_bits: int | None = None,
    stamp_ns: int = 0,
    frame_id: str = 'thermal',
    counts_seed: int | tuple[int, ...] | None = None,
) -> Frame:
    """Wrap an image from disk as a frame, with the encoding a camera driver would name.

    Args:
        image: (H, W) uint8 or uint16.
        valid_bits: of a uint16 image, if known.
        stamp_ns: see `Frame`.
        frame_id: see `Frame`.
        counts_seed: places an 8-bit image into 14-bit counts first; see `place_in_counts`.
    """
    if counts_seed is not None and image.dtype == np.uint8:
        image, valid_bits = place_in_counts(image, counts_seed), 14
    encoding = 'mono8' if image.dtype == np.uint8 else 'mono16'
    bits = 8 if image.dtype == np.uint8 else valid_bits
    return Frame(image, stamp_ns, frame_id, 'thermal', encoding=encoding, valid_bits=bits)


def colour_frame(image: NDArray[np.uint8], *, stamp_ns: int = 0, frame_id: str = 'rgb') -> Frame:
    """Wrap an image (H, W, 3) from disk, blue first, as a frame of a colour camera."""
    return Frame(image, stamp_ns, frame_id, 'rgb', encoding='bgr8', valid_bits=8)


def place_in_counts(image: NDArray[Any], seed: int | tuple[int, ...]) -> NDArray[np.uint16]:
    """Place an 8-bit image (H, W) into the counts of a 14-bit sensor.

    8-bit data sets come after the camera's contrast adjustment, so the true counts are lost.
    This makes plausible ones: black lies at a random level of 1000..8000 counts, white lies 500
    to 6000 counts above (log-uniform), and uniform noise of one grey level fills the gaps
    between the levels. The result tests that a model reads 16-bit input with any offset and
    gain; it holds no temperature.

    Args:
        image: (H, W) uint8.
        seed: the same seed and image give the same counts.
    """
    rng = np.random.default_rng(seed)
    low = rng.uniform(*_COUNTS_LOW)
    span = np.exp(rng.uniform(*np.log(_COUNTS_SPAN)))
    level = image + rng.random(image.shape, dtype=np.float32) - np.float32(0.5)
    return np.clip(np.rint(low + level * (span / 255)), 0, _COUNTS_MAX).astype(np.uint16)
