"""sensor_msgs/CompressedImage to Frame: JPEG and PNG, checked before a pixel is unpacked."""

from __future__ import annotations

from dataclasses import dataclass
import struct
from typing import Any, TYPE_CHECKING

import cv2
import numpy as np

from thermal_perception.decode.image import make_frame, MAX_PIXELS
from thermal_perception.decode.messages import bytes_of
from thermal_perception.decode.units import COUNTS, ThermalUnits
from thermal_perception.errors import DecodeError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thermal_perception.decode.messages import CompressedImageLike
    from thermal_perception.types import Frame, Modality

_PNG_SIGNATURE = b'\x89PNG\r\n\x1a\n'
_PNG_END = b'IEND\xaeB`\x82'
# Some writers pad files; the end may lie this far before the last byte.
_PNG_TAIL_BYTES = 1024
_JPEG_START = b'\xff\xd8\xff'
_JPEG_END = b'\xff\xd9'
# Start-of-frame markers carry the size; C4, C8 and CC of the same range mean something else.
_JPEG_SIZE_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_SCAN = 0xDA
# Markers without a length: TEM and the restarts.
_JPEG_BARE_MARKERS = frozenset({0x01, *range(0xD0, 0xD8)})
_DEEP_ENCODINGS = ('mono16', '16UC1', '16SC1', '32FC1', '32SC1', '64FC1')


@dataclass(frozen=True)
class _FileHeader:
    """What a JPEG or PNG says of itself."""

    kind: str
    height: int
    width: int
    bits: int
    complete: bool


def decode_compressed(
    msg: CompressedImageLike,
    *,
    modality: Modality,
    units: ThermalUnits = COUNTS,
    max_pixels: int = MAX_PIXELS,
) -> Frame:
    """Decode a JPEG or PNG message of compressed_image_transport or of a camera driver.

    The file decides how it is unpacked; `format` (for example `16UC1; png compressed `,
    `bgr8; jpeg compressed bgr8`, `jpeg`) tells what was compressed. Thermal images of a 16-bit
    PNG become uint16. JPEG holds 8 bits: where `format` says that 16-bit thermal was squeezed into
    it, the message is refused. Size, depth and completeness are checked before unpacking.

    Args:
        msg: sensor_msgs/CompressedImage of rclpy, of rosbags, or anything with the same fields.
        modality: `thermal` gives (H, W) grey, `rgb` (H, W, 3) uint8 BGR.
        units: meaning of the thermal values.
        max_pixels: larger images are refused.

    Raises:
        DecodeError: with cause `unsupported_encoding`, `lossy_16bit`, `empty_image`, `too_large`,
            `truncated_data`, `bad_data` or `bad_compressed`.
    """
    where = f'{modality} compressed image {msg.format!r}'
    data = bytes_of(msg.data, where)
    header = _read_header(data, where)
    _check_header(header, msg, modality, max_pixels, where)
    image = _unpack(data, header, modality, where)
    return make_frame(image, msg.header, modality, msg.format.strip(), units)


def _check_header(
    header: _FileHeader, msg: CompressedImageLike, modality: Modality, max_pixels: int, where: str
) -> None:
    where = f'{where} of {header.height}x{header.width} (h x w)'
    deep = msg.format.split(';')[0].strip() in _DEEP_ENCODINGS
    if header.kind == 'jpeg' and deep:
        raise _error(
            where, 'lossy_16bit', 'JPEG keeps 8 of 16 bits, expected PNG for 16-bit thermal'
        )
    if header.height < 1 or header.width < 1:
        raise _error(where, 'empty_image', 'expected at least 1x1')
    if header.height * header.width > max_pixels:
        raise _error(where, 'too_large', f'expected at most {max_pixels} pixels')
    if header.kind == 'jpeg' and header.bits != 8:
        raise _error(
            where, 'unsupported_encoding', f'found JPEG of {header.bits} bits, expected 8'
        )
    if header.bits == 16 and modality == 'rgb':
        raise _error(where, 'unsupported_encoding', 'found PNG of 16 bits, expected 8 for rgb')
    if header.bits < 16 and deep:
        raise _error(where, 'lossy_16bit', f'found PNG of {header.bits} bits, expected 16')
    if not header.complete:
        raise _error(where, 'truncated_data', f'the {header.kind} has no end')


def _unpack(
    data: NDArray[np.uint8], header: _FileHeader, modality: Modality, where: str
) -> NDArray[Any]:
    """Unpack to (H, W) uint8 or uint16 for thermal, (H, W, 3) uint8 for rgb."""
    # A rotation noted in the file is ignored: camera_info describes the pixels as stored.
    flags = cv2.IMREAD_IGNORE_ORIENTATION | (
        cv2.IMREAD_COLOR if modality == 'rgb' else cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH
    )
    try:
        image = cv2.imdecode(data, flags)
    except cv2.error as error:
        raise DecodeError(f'{where}: {error.err}', cause='bad_compressed') from error
    if image is None:
        raise _error(where, 'bad_compressed', f'the {header.kind} data are damaged')
    if image.shape[:2] != (header.height, header.width):
        raise _error(
            where,
            'bad_compressed',
            f'unpacked to {image.shape[:2]}, its header says {(header.height, header.width)}',
        )
    return np.asarray(image)


def _read_header(data: NDArray[np.uint8], where: str) -> _FileHeader:
    """Read size and depth from the first bytes of a file."""
    start = data[:8].tobytes()
    if start == _PNG_SIGNATURE:
        return _read_png_header(data, where)
    if start[:3] == _JPEG_START:
        return _read_jpeg_header(data.data, where)
    found = start.hex(' ') if start else 'no data'
    raise _error(
        where, 'unsupported_encoding', f'found {found} at the start, expected a JPEG or PNG'
    )


def _read_png_header(data: NDArray[np.uint8], where: str) -> _FileHeader:
    # Signature 8, length 4, "IHDR" 4, width 4, height 4, bits 1, ... (PNG specification, 11.2.2)
    head = data[8:33].tobytes()
    if len(head) < 25 or head[:8] != b'\x00\x00\x00\rIHDR':
        raise _error(where, 'truncated_data', 'the PNG ends within its header')
    width, height, bits = struct.unpack('>IIB', head[8:17])
    return _FileHeader('png', height, width, bits, _PNG_END in data[-_PNG_TAIL_BYTES:].tobytes())


def _read_jpeg_header(data: memoryview, where: str) -> _FileHeader:
    """Walk the segments to the first start of frame (ITU-T T.81, annex B)."""
    position, size = 2, None
    while position + 4 <= len(data):
        if data[position] != 0xFF:
            raise _error(where, 'bad_compressed', f'found no JPEG marker at byte {position}')
        marker = data[position + 1]
        if marker == 0xFF or marker in _JPEG_BARE_MARKERS:  # fill byte, or no segment follows
            position += 1 if marker == 0xFF else 2
            continue
        if marker in _JPEG_SIZE_MARKERS and size is None and position + 9 <= len(data):
            size = struct.unpack('>BHH', data[position + 4 : position + 9])
        if marker == _JPEG_SCAN:
            break
        position += 2 + int.from_bytes(data[position + 2 : position + 4], 'big')
    if size is None:
        raise _error(where, 'truncated_data', 'the JPEG names no size')
    bits, height, width = size
    # In the scan 0xFF is always followed by 0x00 or a restart, so this can only be the end.
    complete = bytes(data[position:]).rfind(_JPEG_END) >= 0
    return _FileHeader('jpeg', height, width, bits, complete)


def _error(where: str, cause: str, what: str) -> DecodeError:
    return DecodeError(f'{where}: {what}', cause=cause)
