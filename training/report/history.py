"""The log of a run as columns."""

from __future__ import annotations

from dataclasses import dataclass
import json
from typing import Any, TYPE_CHECKING

import numpy as np

from thermal_perception.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray


@dataclass(frozen=True)
class History:
    """What a run logged.

    Attributes:
        steps: (S,) numbers of the optimiser steps.
        terms: name to (S,) values; NaN where a step did not log it.
        dev: (step, metrics) of each evaluation.
        throughput: rows with `epoch`, `images_per_s`, `model_share` and `data_share`.
    """

    steps: NDArray[np.int64]
    terms: dict[str, NDArray[np.float64]]
    dev: tuple[tuple[int, dict[str, Any]], ...]
    throughput: tuple[dict[str, float], ...]

    @classmethod
    def read(cls, run: Path) -> History:
        """Read `log.jsonl` of a run folder.

        Raises:
            ConfigError: if there is none, or a line is not JSON.
        """
        file = run / 'log.jsonl'
        try:
            rows = [json.loads(line) for line in file.read_text(encoding='utf-8').splitlines()]
        except (OSError, json.JSONDecodeError) as error:
            raise ConfigError(f'{file}: expected the log of a run: {error}') from error
        steps = [row for row in rows if 'step' in row]
        names = sorted({name for row in steps for name in row} - {'step'})
        terms = {n: np.array([row.get(n, np.nan) for row in steps], np.float64) for n in names}
        return cls(
            np.array([row['step'] for row in steps], np.int64),
            terms,
            tuple(_evaluations(rows)),
            tuple(row for row in rows if 'images_per_s' in row),
        )


def _evaluations(rows: Iterable[dict[str, Any]]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield step and metrics of each evaluation; older logs tell the step only by their order."""
    step = 0
    for row in rows:
        step = row.get('step', row.get('after_step', step))
        if 'dev' in row:
            yield step, row['dev']


def smooth(values: NDArray[np.float64], width: int = 25) -> NDArray[np.float64]:
    """Return the running mean over `width` steps, shorter at the ends."""
    kernel = np.ones(min(width, len(values)))
    counts = np.convolve(np.ones(len(values)), kernel, 'same')
    return np.convolve(values, kernel, 'same') / counts
