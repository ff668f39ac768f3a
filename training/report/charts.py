"""Charts of any model: its run, and how it does in parts of the images."""

from __future__ import annotations

from typing import NamedTuple, TYPE_CHECKING

import numpy as np

from training.report.canvas import column, drawing, legend_above
from training.report.gradient_charts import is_about_gradients
from training.report.history import smooth

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from thermal_perception.evaluation.bootstrap import Interval
    from training.report.history import History


class Row(NamedTuple):
    """A figure of some of the images.

    Attributes:
        label: what they share, and how many they are.
        value: 0..1; None where it is unknown.
        interval: how sure it is, if known.
    """

    label: str
    value: float | None
    interval: Interval | None


def loss_chart(history: History) -> str:
    """The loss and its largest terms over the steps."""
    with drawing() as chart:
        (axis,) = chart.axes
        terms = {n: smooth(v) for n, v in history.terms.items() if not _is_bookkeeping(n)}
        largest = sorted(terms, key=lambda n: -float(np.nanmean(terms[n])))[:5]
        for name in largest:
            axis.plot(history.steps, terms[name], label=name, lw=1.2)
        axis.set(xlabel='step', ylabel='loss, running mean', ylim=(0, None))
        legend_above(chart, axis)
    return chart.svg


def dev_chart(history: History, figures: Sequence[str]) -> str:
    """Scores on dev after each evaluation; of sets after the first, the first figure alone."""
    with drawing() as chart:
        (axis,) = chart.axes
        steps = [step for step, _ in history.dev]
        for name in figures:
            axis.plot(steps, column(m.get(name) for _, m in history.dev), 'o-', label=name, ms=4)
        for number in range(max(len(m.get('others', ())) for _, m in history.dev)):
            values = column(m['others'][number].get(figures[0]) for _, m in history.dev)
            axis.plot(steps, values, 'o:', label=f'{figures[0]}, set {number + 2}', ms=4)
        axis.set(
            xlabel='step', ylabel='score on dev', xlim=(0, 1.03 * max(1, *steps)), ylim=(0, 1)
        )
        legend_above(chart, axis)
    return chart.svg


def parts_chart(rows: Sequence[Row], figure: str) -> str:
    """A figure of parts of the images, with intervals; empty without parts."""
    rows = [row for row in rows if row.value is not None]
    if not rows:
        return ''
    with drawing() as chart:
        (axis,) = chart.axes
        for place, row in enumerate(rows):
            axis.plot(row.value, place, 'o', color='#c8553d')
            if row.interval is not None:
                ends = [row.interval.low, row.interval.high]
                axis.plot(ends, [place, place], color='#c8553d', lw=1)
        axis.set_yticks(range(len(rows)), [row.label for row in rows])
        axis.set(xlabel=figure, xlim=(0, 1))
        axis.invert_yaxis()
    return chart.svg


def latency_rows(latency_ms: Mapping[str, Mapping[str, float]]) -> list[tuple[str, str, str]]:
    """Stage, median and 90th percentile as text."""
    return [(n, f'{v["median"]:.1f}', f'{v["p90"]:.1f}') for n, v in latency_ms.items()]


def _is_bookkeeping(name: str) -> bool:
    """Tell terms of the loss from times, rates and weights in the same rows of the log."""
    return (
        name in {'s', 'lr', 'grad_norm', 'grad_wq'}
        or is_about_gradients(name)
        or name.endswith(('_s', '_gate', '_share', '_confidence'))
        or name.startswith(('alpha', 'w_', 'weight_'))
    )
