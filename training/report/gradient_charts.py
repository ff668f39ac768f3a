"""Charts of a run with several tasks: what their gradients on the shared weights were like.

Source: the conflict and imbalance that E2E-MFD plots, arXiv 2403.09323, figure 5.
"""

from __future__ import annotations

from typing import Any, TYPE_CHECKING

import numpy as np

from training.report.canvas import drawing, legend_above

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from training.report.history import History

_NORM, _COEFFICIENT = 'norm_', 'k_'


def is_about_gradients(name: str) -> bool:
    """Tell what `training.multitask` logs of a step from terms of the loss."""
    return name in {
        'cosine',
        'condition_before',
        'condition_after',
        'combined_norm',
        'skipped',
    } or name.startswith((_NORM, _COEFFICIENT))


def balance_chart(history: History) -> str:
    """Condition number and lengths of the gradients; empty for a run of one task."""
    steps, measured = _measured(history)
    if not len(steps):
        return ''
    with drawing(2) as chart:
        left, right = chart.axes
        for name, style in (('condition_before', '.'), ('condition_after', '-')):
            left.plot(steps, measured[name], style, label=name.replace('_', ' '), ms=4)
        for name in sorted(n for n in measured if n.startswith(_NORM)):
            right.plot(steps, measured[name], lw=1.2, label=name.removeprefix(_NORM))
        right.plot(steps, measured['combined_norm'], lw=1.2, label='combined')
        for axis, title in ((left, 'condition number'), (right, 'length of the gradient')):
            axis.set(xlabel='step', ylabel=title, yscale='log')
            axis.legend(frameon=False)
    return chart.svg


def conflict_chart(history: History) -> str:
    """Cosine between the gradients, and how much each counts; empty for a run of one task."""
    steps, measured = _measured(history)
    if not len(steps):
        return ''
    with drawing(2) as chart:
        left, right = chart.axes
        left.plot(steps, measured['cosine'], '.', ms=4)
        left.axhline(0, color='#888888', lw=0.8)
        left.set(xlabel='step', ylabel='cosine', ylim=(-1, 1))
        for name in sorted(n for n in measured if n.startswith(_COEFFICIENT)):
            right.plot(steps, measured[name], lw=1.2, label=name.removeprefix(_COEFFICIENT))
        right.set(xlabel='step', ylabel='coefficient')
        legend_above(chart, right)
    return chart.svg


def _measured(history: History) -> tuple[NDArray[np.int64], Mapping[str, NDArray[Any]]]:
    """Return the steps at which gradients were measured, and what was found there."""
    if 'cosine' not in history.terms:
        return np.empty(0, np.int64), {}
    known = ~np.isnan(history.terms['cosine'])
    names = (name for name in history.terms if is_about_gradients(name))
    return history.steps[known], {name: history.terms[name][known] for name in names}
