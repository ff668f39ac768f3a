"""Arrays to sensor_msgs/Image."""

from __future__ import annotations

import array
import sys
from typing import Any, TYPE_CHECKING

import numpy as np
from sensor_msgs.msg import CompressedImage, Image

from thermal_perception.encode.header import to_header

if TYPE_CHECKING:
    from numpy.typing import NDArray

# (dtype, channels) an encoding needs.
_ENCODINGS: dict[str, tuple[type[np.generic], int]] = {
    'mono8': (np.uint8, 1),
    '8UC1': (np.uint8, 1),
    'mono16': (np.uint16, 1),
    '16UC1': (np.uint16, 1),
    '32FC1': (np.float32, 1),
    'bgr8': (np.uint8, 3),
    'rgb8': (np.uint8, 3),
}


def to_image(image: NDArray[Any], encoding: str, *, stamp_ns: int, frame_id: str) -> Image:
    """Encode an image; its bytes are copied once.

    Args:
        image: (H, W) or (H, W, 3) array of the machine's byte order.
        encoding: one of mono8, 8UC1, mono16, 16UC1, 32FC1, bgr8, rgb8.
        stamp_ns: stamp of the source, nanoseconds.
        frame_id: optical frame of the source.

    Raises:
        ValueError: if the array does not have the type and channels of the encoding.
    """
    _check(image, encoding)
    # With checked fields the setter takes an array.array as it is. Without, it copies it; other
    # types are even checked or converted value by value (1080p: 320 ms for an ndarray).
    msg = Image(check_fields=True)
    msg.header = to_header(stamp_ns, frame_id)
    msg.height, msg.width = image.shape[:2]
    msg.encoding = encoding
    msg.is_bigendian = int(sys.byteorder == 'big')
    msg.step = image.itemsize * image[0].size
    msg.data = to_bytes(image)
    return msg


def to_compressed_image(
    data: NDArray[np.uint8] | bytes, image_format: str, *, stamp_ns: int, frame_id: str
) -> CompressedImage:
    """Wrap the bytes of a JPEG or PNG file; `image_format` as image_transport writes it."""
    msg = CompressedImage(check_fields=True)
    msg.header = to_header(stamp_ns, frame_id)
    msg.format = image_format
    msg.data = to_bytes(np.frombuffer(data, np.uint8) if isinstance(data, bytes) else data)
    return msg


def to_bytes(image: NDArray[Any]) -> array.array[int]:
    """Copy an array's bytes, row by row, into what image messages hold."""
    buffer = array.array('B')
    buffer.frombytes(np.ascontiguousarray(image).reshape(-1).view(np.uint8).data)
    return buffer


def _check(image: NDArray[Any], encoding: str) -> None:
    if encoding not in _ENCODINGS:
        raise ValueError(f'to_image: found {encoding!r}, expected one of {", ".join(_ENCODINGS)}')
    dtype, channels = _ENCODINGS[encoding]
    found = 1 if image.ndim == 2 else image.shape[-1]
    if image.dtype != dtype or image.ndim not in (2, 3) or found != channels or not image.size:
        raise ValueError(
            f'to_image: found {image.dtype} of shape {image.shape}, '
            f'expected {np.dtype(dtype)} with {channels} channel(s) for {encoding}'
        )
