"""sensor_msgs/Image to Frame: a checked view of the message's bytes wherever that is possible."""

from __future__ import annotations

from dataclasses import dataclass
import sys
from typing import Any, TYPE_CHECKING

import cv2
import numpy as np

from thermal_perception.decode.messages import bytes_of, stamp_ns_of
from thermal_perception.decode.units import COUNTS, ThermalUnits
from thermal_perception.errors import DecodeError
from thermal_perception.types import Frame

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thermal_perception.decode.messages import HeaderLike, ImageLike
    from thermal_perception.types import Modality

# 8K video has 33 million pixels; a message that claims more is damaged or hostile.
MAX_PIXELS = 2**26


@dataclass(frozen=True)
class _Encoding:
    """How the pixels of an encoding lie in memory, and how they become grey or BGR.

    Attributes:
        dtype: type of one channel.
        channels: channels per pixel in memory.
        to_bgr: OpenCV code to BGR; None if it is BGR already.
        to_grey: OpenCV code to grey; None if it is grey already.
        thermal: may be a thermal image.
        rgb: may be an RGB image.
        even_width: pixels come in pairs.
    """

    dtype: type[np.generic]
    channels: int
    to_bgr: int | None = None
    to_grey: int | None = None
    thermal: bool = True
    rgb: bool = True
    even_width: bool = False


_MONO8 = _Encoding(np.uint8, 1, to_bgr=cv2.COLOR_GRAY2BGR)
_MONO16 = _Encoding(np.uint16, 1, rgb=False)
_UYVY = _Encoding(
    np.uint8,
    2,
    to_bgr=cv2.COLOR_YUV2BGR_UYVY,
    to_grey=cv2.COLOR_YUV2GRAY_UYVY,
    even_width=True,
)
_YUYV = _Encoding(
    np.uint8,
    2,
    to_bgr=cv2.COLOR_YUV2BGR_YUY2,
    to_grey=cv2.COLOR_YUV2GRAY_YUY2,
    even_width=True,
)


def _bayer(to_bgr: int) -> _Encoding:
    return _Encoding(np.uint8, 1, to_bgr=to_bgr, thermal=False)


# ROS names a Bayer pattern after its first four pixels, OpenCV's older names after pixels (1, 1)
# to (2, 2), so ROS's rggb is COLOR_BayerBG2BGR; the newer names used here agree with ROS.
ENCODINGS: dict[str, _Encoding] = {
    'mono8': _MONO8,
    '8UC1': _MONO8,
    'mono16': _MONO16,
    '16UC1': _MONO16,
    '32FC1': _Encoding(np.float32, 1, rgb=False),
    'bgr8': _Encoding(np.uint8, 3, to_grey=cv2.COLOR_BGR2GRAY),
    'rgb8': _Encoding(np.uint8, 3, to_bgr=cv2.COLOR_RGB2BGR, to_grey=cv2.COLOR_RGB2GRAY),
    'bgra8': _Encoding(np.uint8, 4, to_bgr=cv2.COLOR_BGRA2BGR, to_grey=cv2.COLOR_BGRA2GRAY),
    'rgba8': _Encoding(np.uint8, 4, to_bgr=cv2.COLOR_RGBA2BGR, to_grey=cv2.COLOR_RGBA2GRAY),
    'yuv422': _UYVY,
    'uyvy': _UYVY,
    'yuv422_yuy2': _YUYV,
    'yuyv': _YUYV,
    'bayer_rggb8': _bayer(cv2.COLOR_BayerRGGB2BGR),
    'bayer_bggr8': _bayer(cv2.COLOR_BayerBGGR2BGR),
    'bayer_gbrg8': _bayer(cv2.COLOR_BayerGBRG2BGR),
    'bayer_grbg8': _bayer(cv2.COLOR_BayerGRBG2BGR),
}


def decode_image(
    msg: ImageLike,
    *,
    modality: Modality,
    units: ThermalUnits = COUNTS,
    max_pixels: int = MAX_PIXELS,
) -> Frame:
    """Decode a raw image message.

    Thermal images keep their depth: 8-bit grey becomes uint8, 16-bit uint16, `32FC1` float32;
    8-bit colour and YUV (cameras that publish grey as colour) become grey. RGB images become
    (H, W, 3) uint8 BGR. Grey, float and `bgr8` images of the machine's byte order are read-only
    views of the message's data, with whatever `step` it has.

    Args:
        msg: sensor_msgs/Image of rclpy, of rosbags, or anything with the same fields.
        modality: `thermal` or `rgb`.
        units: meaning of the thermal values.
        max_pixels: larger images are refused.

    Raises:
        DecodeError: with cause `unsupported_encoding`, `empty_image`, `too_large`, `bad_size`,
            `bad_step`, `bad_endianness`, `bad_data` or `truncated_data`.
    """
    encoding = _encoding_of(msg, modality)
    pixels = _pixels(msg, encoding, max_pixels)
    if modality == 'thermal':
        image = _convert(pixels, encoding.to_grey)
    else:
        image = _convert(pixels, encoding.to_bgr)
    return make_frame(image, msg.header, modality, msg.encoding, units)


def make_frame(
    image: NDArray[Any],
    header: HeaderLike,
    modality: Modality,
    encoding: str,
    units: ThermalUnits,
) -> Frame:
    """Put a decoded image, its header and the units that apply to it together."""
    stamp_ns, frame_id = stamp_ns_of(header), str(header.frame_id)
    if modality != 'thermal':
        return Frame(image, stamp_ns, frame_id, modality, encoding)
    valid_bits = units.valid_bits
    if image.dtype == np.uint8:
        units = units if valid_bits in (None, 8) else COUNTS
        valid_bits = 8
    elif image.dtype.kind == 'f':
        valid_bits = None
    return Frame(
        image,
        stamp_ns,
        frame_id,
        modality,
        encoding,
        valid_bits,
        units.scale,
        units.offset,
        units.unit,
    )


def _encoding_of(msg: ImageLike, modality: Modality) -> _Encoding:
    """Look up the encoding, if this modality may have it."""
    encoding = ENCODINGS.get(msg.encoding)
    if encoding is None or not getattr(encoding, modality):
        known = ', '.join(name for name, e in ENCODINGS.items() if getattr(e, modality))
        raise DecodeError(
            f'{modality} {_describe(msg)}: expected one of {known}', cause='unsupported_encoding'
        )
    return encoding


def _pixels(msg: ImageLike, encoding: _Encoding, max_pixels: int) -> NDArray[Any]:
    """(H, W) or (H, W, C) read-only array of the message's pixels in the machine's byte order."""
    height, width, step = int(msg.height), int(msg.width), int(msg.step)
    itemsize = np.dtype(encoding.dtype).itemsize
    row_bytes = width * encoding.channels * itemsize
    _check_size(msg, encoding, max_pixels)
    if step < row_bytes:
        raise _error(msg, 'bad_step', f'expected a step of at least {row_bytes} bytes')
    data = bytes_of(msg.data, _describe(msg))
    needed = step * (height - 1) + row_bytes  # the padding of the last row may be missing
    if len(data) < needed:
        raise _error(msg, 'truncated_data', f'found {len(data)} bytes, expected {step * height}')
    rows = np.lib.stride_tricks.as_strided(data, (height, row_bytes), (step, 1), writeable=False)
    if itemsize > 1:
        rows = _numbers(rows, msg, encoding.dtype, step % itemsize == 0)
    return rows if encoding.channels == 1 else rows.reshape(height, width, encoding.channels)


def _numbers(
    rows: NDArray[np.uint8], msg: ImageLike, dtype: type[np.generic], aligned: bool
) -> NDArray[Any]:
    """View rows of bytes as numbers; copies if the byte order is foreign or rows are unaligned."""
    if msg.is_bigendian not in (0, 1):
        raise _error(
            msg, 'bad_endianness', f'found is_bigendian {msg.is_bigendian!r}, expected 0 or 1'
        )
    if not aligned:
        rows = np.ascontiguousarray(rows)
    foreign = bool(msg.is_bigendian) != (sys.byteorder == 'big')
    order = np.dtype(dtype).newbyteorder('>' if msg.is_bigendian else '<')
    numbers = rows.view(order)
    return numbers.astype(dtype) if foreign else numbers.view(dtype)


def _check_size(msg: ImageLike, encoding: _Encoding, max_pixels: int) -> None:
    height, width = int(msg.height), int(msg.width)
    if height < 1 or width < 1:
        raise _error(msg, 'empty_image', 'expected at least 1x1')
    if height * width > max_pixels:
        raise _error(msg, 'too_large', f'expected at most {max_pixels} pixels')
    if encoding.even_width and width % 2:
        raise _error(
            msg, 'bad_size', 'expected an even width, since two pixels share their colour'
        )


def _convert(pixels: NDArray[Any], code: int | None) -> NDArray[Any]:
    return pixels if code is None else cv2.cvtColor(pixels, code)


def _describe(msg: ImageLike) -> str:
    return f'image {msg.encoding!r} of {msg.height}x{msg.width} (h x w) with step {msg.step}'


def _error(msg: ImageLike, cause: str, expectation: str) -> DecodeError:
    return DecodeError(f'{_describe(msg)}: {expectation}', cause=cause)
