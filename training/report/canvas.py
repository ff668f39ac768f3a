"""A figure that becomes SVG text, and what the charts of the report share."""

from __future__ import annotations

from contextlib import contextmanager
import io
from typing import Any, TYPE_CHECKING

from cycler import cycler
import matplotlib as mpl
from matplotlib.figure import Figure
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

_STYLE: Any = {  # matplotlib's stubs want every name as a literal
    'svg.fonttype': 'none',  # text stays text: small files, searchable
    'svg.hashsalt': 'report',  # the same data gives the same bytes
    'font.size': 9,
    'font.family': 'sans-serif',
    'axes.spines.top': False,
    'axes.spines.right': False,
    'axes.grid': True,
    'grid.alpha': 0.25,
    'axes.prop_cycle': cycler(color=['#c8553d', '#28666e', '#e0a458', '#5b4b8a', '#7c9885']),
}
_WIDTH_IN, _HEIGHT_IN = 6.4, 3.4


class Chart:
    """A figure that becomes SVG text when its drawing is done.

    Attributes:
        figure: matplotlib's.
        axes: one per column.
        svg: empty until then.
    """

    def __init__(self, columns: int = 1) -> None:
        """Make empty axes side by side."""
        self.figure = Figure(figsize=(_WIDTH_IN, _HEIGHT_IN), layout='constrained')
        self.axes: list[Any] = list(self.figure.subplots(1, columns, squeeze=False)[0])
        self.svg = ''


@contextmanager
def drawing(columns: int = 1) -> Iterator[Chart]:
    """Give a chart to draw on; its `svg` is there afterwards."""
    with mpl.rc_context(_STYLE):
        made = Chart(columns)
        yield made
        buffer = io.StringIO()
        made.figure.savefig(buffer, format='svg', metadata={'Date': None})
    text = buffer.getvalue()
    made.svg = text[text.index('<svg') :]


def column(values: Iterable[float | None]) -> NDArray[np.float64]:
    """Return values as floats, NaN where there is none."""
    return np.array([np.nan if v is None else v for v in values], np.float64)


def legend_above(chart: Chart, axis: Any) -> None:
    """Put the legend where no curve or bar can be."""
    handles, labels = axis.get_legend_handles_labels()
    chart.figure.legend(
        handles,
        labels,
        frameon=False,
        ncols=min(len(labels), 6),
        loc='outside upper center',
        handlelength=1.4,
        columnspacing=1.2,
    )
