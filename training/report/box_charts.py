"""Charts of models that find boxes, as SVG that stands in the page itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from training.report.canvas import drawing, legend_above

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from thermal_perception.evaluation.match_table import MatchTable
    from training.report.judge import JudgedImage, Judgement

_GROUPS = ('small', 'medium', 'large')
_BINS = 16
_COCO_AREAS = (0.0, 32.0**2, 96.0**2, np.inf)


def pr_chart(table: MatchTable) -> str:
    """Precision over recall of each class at IoU 0.5."""
    with drawing() as chart:
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
    with drawing() as chart:
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
    with drawing() as chart:
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
        legend_above(chart, axis)
    return chart.svg


def fusion_chart(images: Sequence[JudgedImage]) -> str:
    """How much each scale counted, by mean size of the objects in the image."""
    known = [i for i in images if i.fusion is not None and len(i.truth)]
    if not known:
        return ''
    fusion = [i.fusion for i in known if i.fusion is not None]
    areas = np.array([_mean_area(i) for i in known])
    weights = np.array([f.alpha_hat for f in fusion])
    with drawing(columns=weights.shape[1]) as chart:
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
        legend_above(chart, chart.axes[0])
    return chart.svg


def _mean_area(image: JudgedImage) -> float:
    boxes = image.truth.boxes_xyxy_px
    return float((boxes[:, 2:] - boxes[:, :2]).prod(1).mean())
