"""Log lines that repeat: throttled, and counted."""

from __future__ import annotations

from collections import Counter
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from rclpy.impl.rcutils_logger import RcutilsLogger

PERIOD_S = 5.0


class RepeatingLog:
    """Writes the first line of each kind, then at most one per period with a count."""

    def __init__(
        self,
        logger: RcutilsLogger,
        period_s: float = PERIOD_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._logger = logger
        self._period_s = period_s
        self._clock = clock
        self._lock = threading.Lock()
        self._written: dict[str, float] = {}
        self._skipped: Counter[str] = Counter()

    def warning(self, kind: str, text: str) -> None:
        """Write a warning; lines of the same `kind` are throttled together."""
        if line := self._line(kind, text):
            self._logger.warning(line)

    def error(self, kind: str, text: str) -> None:
        """Write an error; lines of the same `kind` are throttled together."""
        if line := self._line(kind, text):
            self._logger.error(line)

    def _line(self, kind: str, text: str) -> str:
        with self._lock:
            now = self._clock()
            if now - self._written.get(kind, -self._period_s) < self._period_s:
                self._skipped[kind] += 1
                return ''
            skipped = self._skipped.pop(kind, 0)
            self._written[kind] = now
        return f'{text} ({skipped} more since the last such line)' if skipped else text
