"""When a message was measured."""

from __future__ import annotations

from typing import Any

from rclpy.clock import ROSClock
from rclpy.logging import get_logger
from rclpy.time import Time

_WARN_EVERY_S = 5.0


def stamp_to_time(stamp: Any) -> Time:
    """Return a stamp, be it a message's or an rclpy Time, as an rclpy Time."""
    return stamp if hasattr(stamp, 'nanoseconds') else Time.from_msg(stamp)


def message_time(msg: Any, *, allow_headerless: bool, logger_name: str) -> Time | None:
    """Return the time in the message's header.

    Args:
        msg: any message, with or without a header.
        allow_headerless: give a message without a stamp the ROS time of now.
        logger_name: who warns about a message that has no stamp and may not go without.

    Returns:
        The time, or None if the message is to be dropped.
    """
    stamp = getattr(getattr(msg, 'header', None), 'stamp', None)
    if stamp is not None:
        return stamp_to_time(stamp)
    if allow_headerless:
        return ROSClock().now()
    get_logger(logger_name).warning(
        f'dropped a {type(msg).__name__}: it has no header.stamp to go by; '
        'allow_headerless=True would take the time of its arrival',
        throttle_duration_sec=_WARN_EVERY_S)
    return None
