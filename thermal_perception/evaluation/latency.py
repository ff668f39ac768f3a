"""How long a model took per image, beside how well it did."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from thermal_perception.types import FrameSet, Perception


class LatencyRecorder:
    """Passes frames on to a model and keeps the seconds that each stage took."""

    def __init__(self, perceive: Callable[[FrameSet], Perception]) -> None:
        """Wrap `perceive`."""
        self._perceive = perceive
        self._stages_s: list[Mapping[str, float]] = []

    def __call__(self, frames: FrameSet) -> Perception:
        """Perceive, and remember the stages."""
        perception = self._perceive(frames)
        self._stages_s.append(perception.stages_s)
        return perception

    def summary_ms(self) -> dict[str, dict[str, float]]:
        """Return median and 90th percentile per stage and of their sum (`total`), milliseconds.

        The first image, which pays for the start, is left out if there are others. Empty if the
        model reports no stages.
        """
        rows = self._stages_s[1:] or self._stages_s
        names = list(rows[0]) if rows else []
        if not names:
            return {}
        times = np.array([[row[name] for name in names] for row in rows]) * 1e3
        columns = {name: times[:, n] for n, name in enumerate(names)} | {
            'total': times.sum(axis=1)
        }
        return {
            name: {'median': float(np.median(v)), 'p90': float(np.quantile(v, 0.9))}
            for name, v in columns.items()
        }
