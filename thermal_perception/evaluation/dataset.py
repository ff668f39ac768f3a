"""COCO-style data sets on disk: `DIR/images/SPLIT` and `DIR/annotations/SPLIT.json`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from thermal_perception.errors import DatasetError
from thermal_perception.evaluation.coco import read_annotations
from thermal_perception.types import Frame

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

IMAGE_SUFFIXES = ('.png', '.jpg', '.jpeg', '.tif', '.tiff', '.webp', '.bmp')

_COUNTS_MAX = 2**14 - 1
_COUNTS_LOW = (1000.0, 8000.0)
_COUNTS_SPAN = (500.0, 6000.0)


@dataclass(frozen=True)
class CocoSplit:
    """One split of a data set.

    Attributes:
        annotations: content of the annotation file.
        images: (image id, file) in the order of the annotation file.
    """

    annotations: Mapping[str, Any]
    images: tuple[tuple[int, Path], ...]


def open_split(dataset: Path, split: str) -> CocoSplit:
    """Find the images and annotations of a split.

    Raises:
        DatasetError: if the annotations or an image file are missing.
    """
    annotations = read_annotations(dataset / 'annotations' / f'{split}.json')
    folder = dataset / 'images' / split
    images = tuple((i['id'], folder / i['file_name']) for i in annotations['images'])
    missing = [path for _, path in images if not path.is_file()]
    if missing:
        raise DatasetError(
            f'{folder}: {len(missing)} of {len(images)} annotated images are missing, '
            f'the first is {missing[0].name}'
        )
    if not images:
        raise DatasetError(f'{folder}: the annotations name no image')
    return CocoSplit(annotations, images)


def read_thermal_image(path: Path) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Read a grey image of 8 or 16 bits, (H, W); colour files become grey.

    Raises:
        DatasetError: if the file is missing, is no image, or holds another kind of pixel.
    """
    # imdecode, unlike imread, keeps quiet about a damaged file and tells a missing one apart.
    try:
        content = np.fromfile(path, np.uint8)
    except OSError as error:
        raise DatasetError(f'{path}: cannot be read: {error}') from error
    image = cv2.imdecode(content, cv2.IMREAD_UNCHANGED) if content.size else None
    if image is None:
        raise DatasetError(f'{path}: is not an image that OpenCV can decode')
    if image.dtype not in (np.uint8, np.uint16):
        raise DatasetError(f'{path}: found {image.dtype} pixels, expected 8 or 16 bits')
    if image.ndim == 3:
        code = cv2.COLOR_BGRA2GRAY if image.shape[2] == 4 else cv2.COLOR_BGR2GRAY
        image = cv2.cvtColor(image, code)
    return image


def thermal_frame(
    image: NDArray[np.uint8] | NDArray[np.uint16],
    *,
    valid_bits: int | None = None,
    stamp_ns: int = 0,
    frame_id: str = 'thermal',
) -> Frame:
    """Wrap an image from disk as a frame, with the encoding a camera driver would name."""
    encoding = 'mono8' if image.dtype == np.uint8 else 'mono16'
    bits = 8 if image.dtype == np.uint8 else valid_bits
    return Frame(image, stamp_ns, frame_id, 'thermal', encoding=encoding, valid_bits=bits)


def place_in_counts(image: NDArray[np.uint8], seed: int) -> NDArray[np.uint16]:
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
