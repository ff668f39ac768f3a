"""Faults of a simulated camera: wrong clock, jitter, images out of order. No ROS."""

from __future__ import annotations

from typing import Generic, TypeVar

import numpy as np

T = TypeVar('T')
_NS_PER_S = 1e9


class FaultyStream(Generic[T]):
    """Spoils the stamps and the order of one camera's messages; reproducible in its seed."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._held: T | None = None

    def stamp(self, stamp_ns: int, *, offset_s: float, jitter_s: float) -> int:
        """Return a stamp of a clock that is off by `offset_s` and up to `jitter_s` either way."""
        error_s = offset_s + (self._rng.uniform(-jitter_s, jitter_s) if jitter_s else 0.0)
        return stamp_ns + round(error_s * _NS_PER_S)

    def order(self, item: T, *, out_of_order: float) -> list[T]:
        """Return what is sent now: with probability `out_of_order` an item waits for the next."""
        if self._held is not None:
            held, self._held = self._held, None
            return [item, held]
        if out_of_order and self._rng.random() < out_of_order:
            self._held = item
            return []
        return [item]
