"""Curves, histograms and matrices of the report, as SVG that stands in the page itself."""

from __future__ import annotations

from contextlib import contextmanager
import io
from typing import Any, TYPE_CHECKING

from cycler import cycler
import matplotlib as mpl
from matplotlib.figure import Figure
import numpy as np

from training.report.history import smooth

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from thermal_perception.evaluation.match_table import MatchTable
    from training.report.history import History
    from training.report.judge import JudgedImage, Judgement

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
_GROUPS = ('small', 'medium', 'large')
_BINS = 16
_COCO_AREAS = (0.0, 32.0**2, 96.0**2, np.inf)


class _Chart:
    """A figure that becomes SVG text when its drawing is done."""

    def __init__(self, columns: int = 1) -> None:
        self.figure = Figure(figsize=(_WIDTH_IN, _HEIGHT_IN), layout='constrained')
        self.axes: list[Any] = list(self.figure.subplots(1, columns, squeeze=False)[0])
        self.svg = ''


@contextmanager
def _chart(columns: int = 1) -> Iterator[_Chart]:
    with mpl.rc_context(_STYLE):
        chart = _Chart(columns)
        yield chart
        buffer = io.StringIO()
        chart.figure.savefig(buffer, format='svg', metadata={'Date': None})
    text = buffer.getvalue()
    chart.svg = text[text.index('<svg') :]


def loss_chart(history: History) -> str:
    """The loss and its largest terms over the steps."""
    with _chart() as chart:
        (axis,) = chart.axes
        terms = {n: smooth(v) for n, v in history.terms.items() if not _is_bookkeeping(n)}
        largest = sorted(terms, key=lambda n: -float(np.nanmean(terms[n])))[:5]
        for name in largest:
            axis.plot(history.steps, terms[name], label=name, lw=1.2)
        axis.set(xlabel='step', ylabel='loss, running mean', ylim=(0, None))
        _legend_above(chart, axis)
    return chart.svg


def dev_chart(history: History) -> str:
    """Scores on dev after each evaluation."""
    with _chart() as chart:
        (axis,) = chart.axes
        steps = [step for step, _ in history.dev]
        for name in ('mAP50', 'mAP', 'mAP75'):
            axis.plot(steps, _column(m.get(name) for _, m in history.dev), 'o-', label=name, ms=4)
        for number in range(max(len(m.get('others', ())) for _, m in history.dev)):
            values = _column(m['others'][number]['mAP50'] for _, m in history.dev)
            axis.plot(steps, values, 'o:', label=f'mAP50, set {number + 2}', ms=4)
        axis.set(
            xlabel='step', ylabel='score on dev', xlim=(0, 1.03 * max(1, *steps)), ylim=(0, 1)
        )
        _legend_above(chart, axis)
    return chart.svg


def pr_chart(table: MatchTable) -> str:
    """Precision over recall of each class at IoU 0.5."""
    with _chart() as chart:
        (axis,) = chart.axes
        for name, (ranking, *_) in zip(table.class_names, table.at(0.5).rankings):
            curve = ranking.curve()
            if curve is not None:
                recall, precision = curve
                best = np.maximum.accumulate(precision[::-1])[::-1]
                axis.step(recall, best, where='pre', label=f'{name} ({ranking.objects.sum()})')
        axis.set(xlabel='recall', ylabel='precision', xlim=(0, 1), ylim=(0, 1.02))
        axis.legend(frameon=False, title='class (objects)', loc='lower left')
    return chart.svg


def confusion_chart(matrix: NDArray[np.int64], class_names: Sequence[str]) -> str:
    """Objects by class (rows) and what they were taken for (columns); colour is by row."""
    with _chart() as chart:
        (axis,) = chart.axes
        share = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
        axis.imshow(share, cmap='YlOrRd', vmin=0, vmax=1, aspect='auto')
        for row, column in np.ndindex(*matrix.shape):
            if (row, column) != (len(class_names), len(class_names)):
                dark = share[row, column] > 0.6
                text = f'{matrix[row, column]}'
                colour = 'white' if dark else 'black'
                axis.text(column, row, text, ha='center', va='center', color=colour)
        axis.set_xticks(range(len(matrix)), [*class_names, 'missed'])
        axis.set_yticks(range(len(matrix)), [*class_names, 'nothing there'])
        axis.set(xlabel='found as', ylabel='is')
        axis.grid(visible=False)
    return chart.svg


def size_chart(judgement: Judgement) -> str:
    """Average precision of each class by size of the objects, COCO's bins."""
    with _chart() as chart:
        (axis,) = chart.axes
        names = list(judgement.metrics.per_class)
        width = 0.8 / len(_GROUPS)
        for place, group in enumerate(_GROUPS):
            values = [
                getattr(judgement.metrics.per_class[name], f'mAP50_{group}') for name in names
            ]
            heights = [np.nan if v is None else v for v in values]
            axis.bar(np.arange(len(names)) + (place - 1) * width, heights, width, label=group)
        axis.set_xticks(range(len(names)), names)
        axis.set(ylabel='AP at IoU 0.5', ylim=(0, 1))
        _legend_above(chart, axis)
    return chart.svg


def slices_chart(judgement: Judgement) -> str:
    """mAP50 of the parts of the images by light, altitude and condition, with intervals."""
    rows = [
        (f'{part.attribute} {part.value} ({part.images})', part)
        for part in judgement.slices
        if part.figures['all']['mAP50'] is not None
    ]
    if not rows:
        return ''
    with _chart() as chart:
        (axis,) = chart.axes
        for place, (_, part) in enumerate(rows):
            value = part.figures['all']['mAP50']
            axis.plot(value, place, 'o', color='#c8553d')
            known = part.intervals.get('all')
            if known is not None:
                axis.plot([known.low, known.high], [place, place], color='#c8553d', lw=1)
        axis.set_yticks(range(len(rows)), [label for label, _ in rows])
        axis.set(xlabel='mAP50', xlim=(0, 1))
        axis.invert_yaxis()
    return chart.svg


def fusion_chart(images: Sequence[JudgedImage]) -> str:
    """How much each scale counted, by mean size of the objects in the image."""
    known = [i for i in images if i.fusion is not None and len(i.truth)]
    if not known:
        return ''
    fusion = [i.fusion for i in known if i.fusion is not None]
    areas = np.array([_mean_area(i) for i in known])
    weights = np.array([f.alpha_hat for f in fusion])
    with _chart(columns=weights.shape[1]) as chart:
        for column, axis in enumerate(chart.axes):
            edges = np.histogram_bin_edges(weights[:, column], _BINS)
            for low, high, group in zip(_COCO_AREAS, _COCO_AREAS[1:], _GROUPS):
                chosen = weights[(areas >= low) & (areas < high), column]
                if len(chosen):
                    share = np.full(len(chosen), 1 / len(chosen))
                    label = f'{group} ({len(chosen)})'
                    axis.hist(chosen, edges, weights=share, alpha=0.55, label=label)
            axis.set(xlabel=f'weight of stride {fusion[0].strides[column]}')
            axis.tick_params(labelleft=column == 0)
        highest = max(axis.get_ylim()[1] for axis in chart.axes)
        for axis in chart.axes:
            axis.set_ylim(0, highest)
        chart.axes[0].set_ylabel('share of the images of a size')
        _legend_above(chart, chart.axes[0])
    return chart.svg


def latency_rows(latency_ms: Mapping[str, Mapping[str, float]]) -> list[tuple[str, str, str]]:
    """Stage, median and 90th percentile as text."""
    return [(n, f'{v["median"]:.1f}', f'{v["p90"]:.1f}') for n, v in latency_ms.items()]


def _is_bookkeeping(name: str) -> bool:
    """Tell terms of the loss from times, rates and weights in the same rows of the log."""
    return (
        name in {'s', 'lr', 'grad_norm', 'grad_wq'}
        or name.endswith('_s')
        or name.startswith(('alpha', 'w_'))
    )


def _column(values: Iterable[float | None]) -> NDArray[np.float64]:
    return np.array([np.nan if v is None else v for v in values], np.float64)


def _legend_above(chart: _Chart, axis: Any) -> None:
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


def _mean_area(image: JudgedImage) -> float:
    boxes = image.truth.boxes_xyxy_px
    return float((boxes[:, 2:] - boxes[:, :2]).prod(1).mean())
