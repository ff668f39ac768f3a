"""Boxes to the bytes of a vision_msgs/Detection2DArray, as they travel.

A Detection2D consists of ten nested messages, and rclpy converts them field by field whenever one
is published, which costs ten times what setting the fields does. Here numpy writes the numbers of
all boxes at once, and a publisher takes the bytes as they are.

Format: OMG DDS-XTypes 1.3, section 7.4.3 (CDR, version 1); fields in the order of vision_msgs.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from thermal_perception.types import Detections

_CDR_LITTLE_ENDIAN = b'\x00\x01\x00\x00'
_NS = 1_000_000_000

# The numbers of a Detection2D with one result: score, pose, its covariance, centre, size.
_NUMBERS = np.zeros(1 + 7 + 36 + 3 + 2, '<f8')
_NUMBERS[7] = 1.0  # orientation.w
_SCORE, _X, _Y, _WIDTH, _HEIGHT = 0, 44, 45, 47, 48
# What follows them: an empty id, and what is left to the next multiple of 8.
_ID, _PAD = b'\x01\0\0\0\0', b'\0\0\0'


def serialize_detections(detections: Detections) -> bytes:
    """Return the bytes of the message that `to_detection2d_array` builds."""
    header = _header(detections.stamp_ns, detections.frame_id)
    start = header + struct.pack('<I', len(detections))
    if not len(detections):
        return _CDR_LITTLE_ENDIAN + start
    names, labels = detections.class_names, detections.labels
    # Every box ends at a multiple of 8, where the next begins; the first may begin beside one.
    parts = [_detection(header, name, 0) for name in names]
    first = _detection(header, names[labels[0]], len(start))
    body = bytearray().join((start, first, *map(parts.__getitem__, labels[1:].tolist())))
    sizes = np.array([len(part) for part in parts])[labels]
    sizes[0] = len(start) + len(first)
    numbers = np.frombuffer(body, '<f8')
    at = (np.cumsum(sizes) - len(_ID + _PAD)) // numbers.itemsize - len(_NUMBERS)
    x1, y1, x2, y2 = detections.boxes_xyxy_px.astype(np.float64).T
    numbers[at + _SCORE] = detections.scores
    numbers[at + _X], numbers[at + _Y] = (x1 + x2) / 2, (y1 + y2) / 2
    numbers[at + _WIDTH], numbers[at + _HEIGHT] = x2 - x1, y2 - y1
    return _CDR_LITTLE_ENDIAN + body[: -len(_PAD)]


def _detection(header: bytes, class_id: str, start: int) -> bytes:
    """Return a box whose numbers are to be filled in, as it is at `start` bytes."""
    named = header + struct.pack('<I', 1) + _text(class_id)  # of one result
    return named + bytes(-(start + len(named)) % 8) + _NUMBERS.tobytes() + _ID + _PAD


def _header(stamp_ns: int, frame_id: str) -> bytes:
    """Return a std_msgs/Header with what is left to the next multiple of 4."""
    header = struct.pack('<iI', *divmod(stamp_ns, _NS)) + _text(frame_id)
    return header + bytes(-len(header) % 4)


def _text(text: str) -> bytes:
    """Return a string; its length counts the zero that ends it."""
    data = text.encode() + b'\0'
    return struct.pack('<I', len(data)) + data
