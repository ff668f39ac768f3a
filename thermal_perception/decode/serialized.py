"""Image messages as they travel: read from the bytes of DDS without a copy of the pixels.

rclpy copies the pixels of an image three times before a callback sees them, also of those images
that are given up for a newer one. A serialized message is copied once, out of the middleware.

Format: OMG DDS-XTypes 1.3, section 7.4.3 (CDR); fields in the order of sensor_msgs. No field is
wider than 4 bytes, so that version 1 and 2 of the encoding are alike.
"""

from __future__ import annotations

from dataclasses import dataclass
import struct
from typing import Literal

from thermal_perception.errors import DecodeError

_BYTE_ORDERS: dict[bytes, Literal['<', '>']] = {
    b'\x00\x00': '>',
    b'\x00\x01': '<',
    b'\x00\x06': '>',
    b'\x00\x07': '<',
}


@dataclass(frozen=True)
class Stamp:
    """builtin_interfaces/Time."""

    sec: int
    nanosec: int


@dataclass(frozen=True)
class Header:
    """std_msgs/Header."""

    stamp: Stamp
    frame_id: str


@dataclass(frozen=True, eq=False)
class SerializedImage:
    """sensor_msgs/Image; `data` is a view of the bytes it was read from."""

    header: Header
    height: int
    width: int
    encoding: str
    is_bigendian: int
    step: int
    data: memoryview


@dataclass(frozen=True, eq=False)
class SerializedCompressedImage:
    """sensor_msgs/CompressedImage; `data` is a view of the bytes it was read from."""

    header: Header
    format: str
    data: memoryview


def read_image(serialized: bytes) -> SerializedImage:
    """Read a serialized sensor_msgs/Image.

    Raises:
        DecodeError: with cause `bad_message`, if the bytes end too early or are of no known kind.
    """
    reader = _Reader(serialized, 'image')
    header = reader.header()
    height, width = reader.uint32(), reader.uint32()
    encoding, is_bigendian, step = reader.text(), reader.uint8(), reader.uint32()
    return SerializedImage(header, height, width, encoding, is_bigendian, step, reader.sequence())


def read_compressed_image(serialized: bytes) -> SerializedCompressedImage:
    """Read a serialized sensor_msgs/CompressedImage.

    Raises:
        DecodeError: with cause `bad_message`, if the bytes end too early or are of no known kind.
    """
    reader = _Reader(serialized, 'compressed image')
    return SerializedCompressedImage(reader.header(), reader.text(), reader.sequence())


class _Reader:
    """Reads one field after the other; numbers are aligned to their size."""

    def __init__(self, serialized: bytes, what: str) -> None:
        self._what = what
        kind = bytes(serialized[:2])
        order = _BYTE_ORDERS.get(kind)
        if order is None or len(serialized) < 4:
            raise self._error(f'found representation {kind.hex() or "of no bytes"}, expected CDR')
        self._body = memoryview(serialized)[4:]
        self._int32, self._uint32 = struct.Struct(f'{order}i'), struct.Struct(f'{order}I')
        self._at = 0

    def header(self) -> Header:
        sec, nanosec = self._number(self._int32), self.uint32()
        return Header(Stamp(sec, nanosec), self.text())

    def uint8(self) -> int:
        return int(self._take(1)[0])

    def uint32(self) -> int:
        return self._number(self._uint32)

    def text(self) -> str:
        """Read a string; its length counts the zero that ends it."""
        return str(self.sequence(), 'utf-8', 'replace').removesuffix('\0')

    def sequence(self) -> memoryview:
        """Read a sequence of bytes."""
        return self._take(self.uint32())

    def _number(self, kind: struct.Struct) -> int:
        self._at += -self._at % kind.size
        (value,) = kind.unpack(self._take(kind.size))
        return int(value)

    def _take(self, count: int) -> memoryview:
        taken = self._body[self._at : self._at + count]
        if len(taken) < count:
            raise self._error(
                f'found {len(self._body)} bytes, expected {self._at + count} or more'
            )
        self._at += count
        return taken

    def _error(self, text: str) -> DecodeError:
        return DecodeError(f'serialized {self._what}: {text}', cause='bad_message')
