"""Stamps and headers of outgoing messages."""

from __future__ import annotations

from builtin_interfaces.msg import Time
from std_msgs.msg import Header

_NS = 1_000_000_000


def to_time(stamp_ns: int) -> Time:
    """Split nanoseconds since the epoch of the source clock into a Time message."""
    sec, nanosec = divmod(stamp_ns, _NS)
    return Time(sec=sec, nanosec=nanosec)


def to_header(stamp_ns: int, frame_id: str) -> Header:
    """Build the header of a result from the stamp and frame of its source."""
    return Header(stamp=to_time(stamp_ns), frame_id=frame_id)
