"""Charts of models that label pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from training.report.canvas import column, drawing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from thermal_perception.evaluation.bootstrap import Interval

_COLOUR, _DARK = '#28666e', '#222222'


def iou_chart(values: Mapping[str, float | None], intervals: Mapping[str, Interval | None]) -> str:
    """A bar per class with an IoU, and its interval."""
    known = {name: value for name, value in values.items() if value is not None}
    with drawing() as chart:
        (axis,) = chart.axes
        places = np.arange(len(known))
        axis.bar(places, column(known.values()), 0.7, color=_COLOUR)
        for place, (name, value) in enumerate(known.items()):
            interval = intervals.get(name)
            if interval is not None:
                ends = [interval.low, interval.high]
                axis.plot([place, place], ends, color=_DARK, lw=1)
            high = value if interval is None else max(value, interval.high)
            axis.text(place, high + 0.01, f'{value:.2f}', ha='center', va='bottom')
        axis.set_xticks(places, list(known), rotation=20 if len(known) > 5 else 0)
        axis.set(ylabel='IoU', ylim=(0, 1.08))
    return chart.svg


def pixel_confusion_chart(matrix: NDArray[np.int64], class_names: Sequence[str]) -> str:
    """Pixels by class (rows) and what they were taken for (columns), percent of the row.

    Classes that are neither in truth nor prediction are left out.
    """
    seen = np.flatnonzero(matrix.sum(0) + matrix.sum(1)).tolist()
    names = [class_names[label] for label in seen]
    counts = matrix[np.ix_(seen, seen)]
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    with drawing() as chart:
        (axis,) = chart.axes
        axis.imshow(share, cmap='YlOrRd', vmin=0, vmax=1, aspect='auto')
        for row, found in np.ndindex(*counts.shape):
            if counts[row].any():
                colour = 'white' if share[row, found] > 0.6 else 'black'
                text = f'{100 * share[row, found]:.1f}'
                axis.text(found, row, text, ha='center', va='center', color=colour)
        axis.set_xticks(range(len(seen)), names, rotation=20 if len(seen) > 5 else 0)
        axis.set_yticks(range(len(seen)), names)
        axis.set(xlabel='found as', ylabel='is')
        axis.grid(visible=False)
    return chart.svg
