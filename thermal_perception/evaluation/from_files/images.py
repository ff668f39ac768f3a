"""Image files as the metrics want them: whole, 8 bits, one channel."""

from __future__ import annotations

import struct
from typing import Any, TYPE_CHECKING
import zlib

import cv2
import numpy as np

from thermal_perception.errors import DatasetError
from thermal_perception.evaluation.image_fusion import brightness

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

_PNG = b'\x89PNG\r\n\x1a\n'
_PNG_HEADER = _PNG + b'\x00\x00\x00\rIHDR'
_PNG_END = b'IEND\xaeB`\x82'
_JPEG, _JPEG_END = b'\xff\xd8\xff', b'\xff\xd9'
_GREY, _PALETTE = 0, 3  # PNG colour types
_TAIL_BYTES = 1024  # some writers pad files after the end mark


def read_brightness(path: Path) -> NDArray[np.uint8]:
    """Read grey levels (H, W); of a colour image its V of HSV, which fusion metrics are taken on.

    Raises:
        DatasetError: if the file is missing, cut off, no image, or neither 8-bit grey nor colour.
    """
    image = _decode(path, _read_whole(path))
    if image.dtype != np.uint8 or image.shape[2:] not in ((), (3,)):
        raise DatasetError(f'{path}: found {_kind(image)}, expected 8-bit grey or colour')
    return brightness(image)


def read_label_map(path: Path) -> NDArray[np.uint8]:
    """Read the class indices (H, W) of a PNG: grey, three equal channels, or a palette.

    The values are those in the file: a palette gives its indices, not its colours.

    Raises:
        DatasetError: if the file is missing, cut off, no PNG, or holds no class indices.
    """
    content = _read_whole(path)
    if not content.startswith(_PNG_HEADER):
        raise DatasetError(f'{path}: is no PNG, the format that keeps class indices unchanged')
    bits, colour_type = content[24], content[25]
    labels = _decode(path, _as_grey(content) if colour_type == _PALETTE else content)
    if labels.ndim == 3 and (labels == labels[..., :1]).all():
        labels = labels[..., 0]
    if labels.ndim == 3 or labels.dtype != np.uint8:
        raise DatasetError(
            f'{path}: found {_kind(labels)}, expected class indices in one 8-bit channel'
        )
    # Decoders stretch what has fewer than 8 bits to 0..255.
    return labels if bits == 8 else labels // np.uint8(255 // (2**bits - 1))


def _read_whole(path: Path) -> bytes:
    """Read a file; a decoder would fill what a cut-off one lacks with grey and say nothing."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DatasetError(f'{path}: cannot be read: {error.strerror}') from error
    for start, end in ((_PNG, _PNG_END), (_JPEG, _JPEG_END)):
        if content.startswith(start) and end not in content[-_TAIL_BYTES:]:
            raise DatasetError(f'{path}: is cut off after {len(content)} bytes')
    return content


def _decode(path: Path, content: bytes) -> NDArray[Any]:
    data = np.frombuffer(content, np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
    if image is None:
        raise DatasetError(f'{path}: is not an image that OpenCV can decode')
    return image


def _as_grey(png: bytes) -> bytes:
    """Drop the palette of a PNG, so that its indices are decoded instead of its colours."""
    kept = [
        _chunk(kind, data[:9] + bytes([_GREY]) + data[10:] if kind == b'IHDR' else data)
        for kind, data in _chunks(png)
        if kind in (b'IHDR', b'IDAT', b'IEND')
    ]
    return _PNG + b''.join(kept)


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(_PNG)
    while at + 8 <= len(png):
        (length,) = struct.unpack_from('>I', png, at)
        yield png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        at += 12 + length


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))


def _kind(image: NDArray[Any]) -> str:
    channels = 1 if image.ndim == 2 else image.shape[2]
    return f'{channels} channel{"s" * (channels > 1)} of {image.dtype}'
