"""The shape of the messages we decode: those of rclpy and of rosbags fit alike."""

from __future__ import annotations

from typing import Protocol, TYPE_CHECKING

import numpy as np

from thermal_perception.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from numpy.typing import NDArray

    BytesLike = bytes | bytearray | memoryview | NDArray[Any] | Sequence[int]


class StampLike(Protocol):
    """builtin_interfaces/Time."""

    @property
    def sec(self) -> int:
        """Whole seconds."""

    @property
    def nanosec(self) -> int:
        """Nanoseconds on top, 0..999,999,999."""


class HeaderLike(Protocol):
    """std_msgs/Header."""

    @property
    def stamp(self) -> StampLike:
        """When the image was taken."""

    @property
    def frame_id(self) -> str:
        """Optical frame of the camera."""


class ImageLike(Protocol):
    """sensor_msgs/Image."""

    @property
    def header(self) -> HeaderLike:
        """Stamp and frame."""

    @property
    def height(self) -> int:
        """Rows."""

    @property
    def width(self) -> int:
        """Columns."""

    @property
    def encoding(self) -> str:
        """Name of the pixel format, as in sensor_msgs/image_encodings.hpp."""

    @property
    def is_bigendian(self) -> int | bool:
        """Byte order of pixels of more than one byte."""

    @property
    def step(self) -> int:
        """Bytes from one row to the next."""

    @property
    def data(self) -> BytesLike:
        """`step * height` bytes."""


class CompressedImageLike(Protocol):
    """sensor_msgs/CompressedImage."""

    @property
    def header(self) -> HeaderLike:
        """Stamp and frame."""

    @property
    def format(self) -> str:
        """For example `mono16; png compressed `."""

    @property
    def data(self) -> BytesLike:
        """The bytes of a JPEG or PNG file."""


def stamp_ns_of(header: HeaderLike) -> int:
    """Stamp of a message in integer nanoseconds."""
    return int(header.stamp.sec) * 1_000_000_000 + int(header.stamp.nanosec)


def bytes_of(data: BytesLike, where: str) -> NDArray[np.uint8]:
    """View a message's data as (N,) uint8 without a copy; sequences of numbers are copied.

    Args:
        data: any buffer of bytes, or a sequence of numbers 0..255.
        where: the message in words, for the error.

    Raises:
        DecodeError: cause `bad_data` if it is neither.
    """
    try:
        if isinstance(data, (list, tuple)):
            data = bytes(data)
        view = memoryview(data)  # type: ignore[arg-type]
        if view.nbytes == 0:
            return np.empty(0, np.uint8)
        return np.frombuffer(view.cast('B'), np.uint8)
    except (TypeError, ValueError, BufferError) as error:
        raise DecodeError(
            f'{where}: found data of type {type(data).__name__}, expected bytes in a row: {error}',
            cause='bad_data',
        ) from error
