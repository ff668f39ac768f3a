"""How much a sender may send: the finest features that fit, and not too often."""

from __future__ import annotations

from typing import NamedTuple, TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from thermal_perception.v2x.message import EncodedMessage

Level = TypeVar('Level')
_S = 1_000_000_000


class Fitted(NamedTuple):
    """A message that fits, and which of the levels it has."""

    message: EncodedMessage
    level_index: int


class RateLimit:
    """Lets frames through that keep to a mean rate; a late one does not make the next wait."""

    def __init__(self, max_rate_hz: float) -> None:
        """Start ready; 0 lets all through."""
        self._period_ns = int(_S / max_rate_hz) if max_rate_hz > 0 else 0
        self._due_ns: int | None = None

    def admits(self, stamp_ns: int) -> bool:
        """Tell whether a frame may be sent; if so, it counts as sent."""
        if self._due_ns is not None:
            set_back = stamp_ns < self._due_ns - 2 * self._period_ns
            # Stamps of a camera jitter: a tenth of a period early is in time.
            if not set_back and stamp_ns < self._due_ns - self._period_ns // 10:
                return False
            if not set_back and stamp_ns < self._due_ns + self._period_ns:
                self._due_ns += self._period_ns
                return True
        self._due_ns = stamp_ns + self._period_ns
        return True


def finest_that_fits(
    levels: Sequence[Level], encode: Callable[[Level], EncodedMessage], max_bytes: int
) -> Fitted | None:
    """Encode with ever coarser levels until the message fits.

    Args:
        levels: finest first.
        encode: makes the message of a level.
        max_bytes: of its data; 0 for no limit.

    Returns:
        None if even the coarsest is too large.
    """
    for index, level in enumerate(levels):
        message = encode(level)
        if not max_bytes or len(message.data) <= max_bytes:
            return Fitted(message, index)
    return None
