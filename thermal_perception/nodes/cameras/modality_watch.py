"""Notices when one of two cameras is missing in what a node looks at. No ROS."""

from __future__ import annotations

import threading
import time
from typing import NamedTuple, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from thermal_perception.types import Modality


class Lack(NamedTuple):
    """A camera that is missing.

    Attributes:
        modality: which one.
        since_s: for how long, seconds.
        why: what is wrong with its images; empty if none come.
    """

    modality: Modality
    since_s: float
    why: str


class ModalityWatch:
    """Keeps since when moments lack a camera, and why; thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with nothing missing; `clock` gives seconds."""
        self._clock = clock
        self._lock = threading.Lock()
        self._missing: Modality | None = None
        self._since_s = 0.0
        self._why = ''

    def note(self, missing: Modality | None, why: str = '') -> None:
        """Note what the next moment lacks.

        Args:
            missing: the camera; None if there are both.
            why: what was wrong with its image; empty if none came.
        """
        with self._lock:
            if missing != self._missing:
                self._since_s = self._clock()
            self._missing, self._why = missing, why

    def lack(self, timeout_s: float) -> Lack | None:
        """Return what is missing for `timeout_s` or longer."""
        with self._lock:
            since_s = self._clock() - self._since_s
            if self._missing is None or since_s < timeout_s:
                return None
            return Lack(self._missing, since_s, self._why)
