"""Figures of `score` as tables of at most 80 columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thermal_perception.cli import console
from thermal_perception.cli.score_tables import interval_text, plain_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.table import Table

    from thermal_perception.cli.score.report import Report
    from thermal_perception.evaluation.bootstrap import Interval
    from thermal_perception.evaluation.figures import Part

_PARTS_PER_TABLE = 4


def parts_table(
    report: Report, held: str, figures: Mapping[str, str], *, everything: bool = False
) -> Table:
    """Return a row per light or altitude, figures in per cent.

    Args:
        report: the scores.
        held: header of what the parts hold, as `pixels`.
        figures: figure to header; the first one gets its interval.
        everything: start with a row for all images.
    """
    sure = ['95% interval'] if report.draws else []
    first, *others = figures
    numbers = ['images', held, figures[first], *sure, *(figures[f] for f in others)]
    table = plain_table(['part', 'value'], numbers)
    if everything:
        table.add_row('all', '', *_part_cells(report.all, first, others), style='bold')
    last = ''
    for part in report.parts:
        if part.attribute != last and table.row_count:
            table.add_section()
        name = part.attribute if part.attribute != last else ''
        table.add_row(name, part.value, *_part_cells(part, first, others))
        last = part.attribute
    return table


def quantities_table(parts: Sequence[Part]) -> list[Table]:
    """Return figures that are no shares, a row each: all images first, then a column per part.

    Several tables, where there are more parts than fit.
    """
    whole, *others = parts
    return [
        _quantities(([whole] if start == 0 else []) + others[start : start + _PARTS_PER_TABLE])
        for start in range(0, max(1, len(others)), _PARTS_PER_TABLE)
    ]


def interval_of(part: Part, group: str, figure: str) -> list[str]:
    """Return the cell of an interval in per cent; none without a bootstrap."""
    return [interval_text(part.intervals[group][figure])] if part.intervals else []


def _part_cells(part: Part, first: str, others: Sequence[str]) -> list[str]:
    values = part.figures['all']
    return [
        str(part.images),
        str(part.held),
        console.fraction(values[first]),
        *interval_of(part, 'all', first),
        *(console.fraction(values[figure]) for figure in others),
    ]


def _quantities(parts: Sequence[Part]) -> Table:
    first, *others = parts
    bounds = first.intervals['all'] if first.intervals and not first.attribute else {}
    sure = ['95% interval'] if bounds else []
    headers = [part.value or 'all' for part in parts]
    table = plain_table(['figure'], [headers[0], *sure, *headers[1:]])
    images = [str(part.images) for part in others]
    table.add_row('images', str(first.images), *('' for _ in sure), *images)
    table.add_section()
    for figure in first.figures['all']:
        values = [_quantity(part.figures['all'][figure]) for part in parts]
        intervals = [_quantity_interval(bounds[figure])] if bounds else []
        table.add_row(figure, values[0], *intervals, *values[1:])
    return table


def _quantity(value: float | None) -> str:
    return '-' if value is None else f'{value:.3f}'


def _quantity_interval(bounds: Interval | None) -> str:
    return '-' if bounds is None else f'{_quantity(bounds.low)} to {_quantity(bounds.high)}'
