"""A table with a column for each of several things, and their ratios by the first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from thermal_perception.cli.benchmark.report import median_ratio

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thermal_perception.cli.benchmark.turn import Timing


class SideBySide:
    """Rows of values; after each but the first stands its ratio by the first.

    Attributes:
        table: what has been added so far.
    """

    def __init__(self, corner: str, title: str, labels: Sequence[str]) -> None:
        """Make an empty table with a column for each label."""
        self.table = Table(corner, title=title, title_justify='left')
        for number, label in enumerate(labels):
            self.table.add_column(label, justify='right')
            if number:
                self.table.add_column('ratio', justify='right')

    def numbers(
        self,
        label: str,
        values: Sequence[float],
        form: str = '.1f',
        turns: Sequence[Sequence[float]] = (),
    ) -> None:
        """Add a row of numbers.

        Args:
            label: what they are.
            values: one for each column.
            form: how one is written.
            turns: values turn by turn, where the ratio is the median of theirs.
        """
        texts = [f'{value:{form}}' for value in values]
        self._row(label, texts, _ratios(values, turns))

    def timings(
        self,
        label: str,
        timings: Sequence[Timing],
        turns: Sequence[Sequence[float]] = (),
        style: str = '',
    ) -> None:
        """Add a row of median and 99th percentile; the ratio is that of the medians."""
        ratios = _ratios([timing.median_ms for timing in timings], turns)
        self._row(label, [timing_text(timing) for timing in timings], ratios, style)

    def texts(self, label: str, texts: Sequence[str]) -> None:
        """Add a row without ratios."""
        self._row(label, texts, [''] * len(texts))

    def _row(
        self, label: str, texts: Sequence[str], ratios: Sequence[str], style: str = ''
    ) -> None:
        others = [cell for pair in zip(texts[1:], ratios[1:]) for cell in pair]
        self.table.add_row(label, texts[0], *others, style=style)


def timing_text(timing: Timing) -> str:
    """Return median and 99th percentile, in columns."""
    return f'{timing.median_ms:.2f} {timing.p99_ms:7.2f}'


def _ratios(values: Sequence[float], turns: Sequence[Sequence[float]]) -> list[str]:
    if turns:
        return [f'{median_ratio(those, turns[0]):.2f}' for those in turns]
    return [f'{value / values[0]:.2f}' if values[0] else '-' for value in values]
