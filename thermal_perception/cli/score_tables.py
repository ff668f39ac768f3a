"""Detection scores as tables for people and as plain values for files."""

from __future__ import annotations

from typing import Any, TYPE_CHECKING

from rich import box
from rich.table import Table

from thermal_perception.cli import console
from thermal_perception.evaluation.bootstrap import CONFIDENCE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from thermal_perception.evaluation import ClassMetrics, DetectionMetrics
    from thermal_perception.evaluation.bootstrap import Difference, Interval
    from thermal_perception.evaluation.detection_statistics import Comparison, Slice

Intervals = dict[str, dict[str, 'Interval | None']]
Comparisons = dict[str, dict[str, 'Comparison']]


def metrics_table(metrics: DetectionMetrics, exclude: tuple[str, ...]) -> Table:
    """Return the COCO table in per cent, a row per class and one for the mean."""
    table = plain_table(
        ['class'], ['objects', 'mAP', 'mAP50', 'mAP75', 'small', 'medium', 'large', 'AR100']
    )
    for name, row in metrics.per_class.items():
        table.add_row(name, *_cells(row))
    table.add_section()
    table.add_row('all', *_cells(metrics), style='bold')
    if exclude:
        table.add_row(f'without {", ".join(exclude)}', *_cells(metrics.without(exclude)))
    return table


def intervals_table(
    values: Mapping[str, Mapping[str, float | None]], intervals: Intervals
) -> Table:
    """Return the headline figures with their intervals, classes first and their mean last."""
    table = plain_table(['class'], ['mAP50', '95% interval', 'mAP', '95% interval'])
    for group in _classes_first(intervals):
        cells = [
            text
            for figure, bounds in intervals[group].items()
            for text in (console.fraction(values[group][figure]), interval_text(bounds))
        ]
        table.add_row(group, *cells, style='bold' if group == 'all' else None)
    return table


def breakdown_table(slices: Sequence[Slice]) -> Table:
    """Return a row per light, altitude or condition, with the interval where there is one."""
    sure = any(part.intervals for part in slices)
    numbers = ['images', 'objects', 'mAP50', *(['95% interval'] if sure else []), 'mAP']
    table = plain_table(['part', 'value'], numbers)
    last = ''
    for part in slices:
        if last and part.attribute != last:
            table.add_section()
        figures = part.figures['all']
        bounds = [interval_text(part.intervals.get('all'))] if sure else []
        table.add_row(
            part.attribute if part.attribute != last else '',
            part.value,
            str(part.images),
            str(part.boxes),
            console.fraction(figures['mAP50']),
            *bounds,
            console.fraction(figures['mAP']),
        )
        last = part.attribute
    return table


def comparison_table(compared: Comparisons, figure: str) -> Table:
    """Return one figure of two runs, with the difference and how sure it is."""
    table = plain_table(['class'], [f'{figure} A', f'{figure} B', 'B - A', '95% interval', 'p'])
    for group in _classes_first(compared):
        one = compared[group][figure]
        table.add_row(
            group,
            console.fraction(one.first),
            console.fraction(one.second),
            *_difference_cells(one.difference),
            style='bold' if group == 'all' else None,
        )
    return table


def verdict(difference: Difference | None, figure: str) -> str:
    """Say in a sentence whether the second run differs from the first."""
    if difference is None:
        return f'{figure}: no object, so nothing to compare'
    bounds = difference.interval
    detail = (
        f'{100 * difference.estimate:+.1f} points of {figure}, '
        f'95% interval {100 * bounds.low:+.1f} to {100 * bounds.high:+.1f}, '
        f'p = {difference.p_value:.3f}'
    )
    if not difference.real:
        return f'no real difference shown: {detail}'
    return f'B is {"better" if difference.estimate > 0 else "worse"}: {detail}'


def intervals_to_json(
    intervals: Mapping[str, Mapping[str, Interval | None]],
) -> dict[str, dict[str, list[float] | None]]:
    """Return group to figure to [low, high]."""
    return {
        group: {figure: interval_to_json(bounds) for figure, bounds in figures.items()}
        for group, figures in intervals.items()
    }


def slice_to_json(part: Slice) -> dict[str, Any]:
    """Return the score of a part as plain values."""
    values: dict[str, Any] = {
        'attribute': part.attribute,
        'value': part.value,
        'images': part.images,
        'boxes': part.boxes,
        **part.figures['all'],
        'per_class': {k: dict(v) for k, v in part.figures.items() if k != 'all'},
    }
    if part.intervals:
        values['mAP50_interval'] = interval_to_json(part.intervals['all'])
    return values


def comparison_to_json(one: Comparison) -> dict[str, Any]:
    """Return a comparison as plain values."""
    values: dict[str, Any] = {'a': one.first, 'b': one.second, 'difference': None}
    if one.difference is not None:
        values |= {
            'difference': one.difference.estimate,
            'interval': interval_to_json(one.difference.interval),
            'p_value': one.difference.p_value,
            'real': one.difference.real,
        }
    return values


def interval_to_json(bounds: Interval | None) -> list[float] | None:
    """Return [low, high]."""
    return None if bounds is None else [bounds.low, bounds.high]


def interval_text(bounds: Interval | None) -> str:
    """Return an interval in per cent, `-` if it is unknown."""
    if bounds is None:
        return '-'
    return f'{console.fraction(bounds.low)} to {console.fraction(bounds.high)}'


def method(resamples: int, unit: str, seed: int) -> dict[str, Any]:
    """Return how intervals were made, for a file."""
    return {
        'method': 'percentile bootstrap',
        'unit': unit,
        'resamples': resamples,
        'seed': seed,
        'confidence': CONFIDENCE,
    }


def latency_text(latency_ms: Mapping[str, Mapping[str, float]]) -> str:
    """Return a sentence about the medians of an image's stages."""
    parts = [f'{name} {v["median"]:.1f}' for name, v in latency_ms.items() if name != 'total']
    total = latency_ms['total']
    return (
        f'latency per image: median {total["median"]:.1f} ms, 90% within {total["p90"]:.1f} ms\n'
        f'of it {", ".join(parts)}'
    )


def _difference_cells(difference: Difference | None) -> list[str]:
    if difference is None:
        return ['-', '-', '-']
    bounds = difference.interval
    return [
        f'{100 * difference.estimate:+.1f}',
        f'{100 * bounds.low:+.1f} to {100 * bounds.high:+.1f}',
        f'{difference.p_value:.3f}',
    ]


def _classes_first(groups: Mapping[str, object]) -> list[str]:
    return sorted(groups, key=lambda name: (name.startswith('without '), name == 'all'))


def _cells(row: ClassMetrics) -> list[str]:
    values = (row.mAP, row.mAP50, row.mAP75, row.mAP_small, row.mAP_medium, row.mAP_large)
    return [str(row.boxes), *map(console.fraction, values), console.fraction(row.AR100)]


def plain_table(texts: Sequence[str], numbers: Sequence[str]) -> Table:
    """Return an empty table with columns of text and then of numbers.

    Without a frame and with two spaces between columns, the COCO table has room for names of 20
    letters in 80 columns.
    """
    table = Table(
        header_style='bold',
        box=box.HORIZONTALS,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        show_edge=False,
    )
    for name in texts:
        table.add_column(name, overflow='fold')
    for name in numbers:
        table.add_column(name, justify='right')
    return table
