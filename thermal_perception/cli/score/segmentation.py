"""`thermal-perception score segmentation`: how good label maps are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from thermal_perception.cli import console
from thermal_perception.cli.score.report import (
    check_classes,
    make_report,
    print_method,
    progress,
    warn_left_out,
    write,
)
from thermal_perception.cli.score.tables import interval_of, parts_table
from thermal_perception.cli.score_tables import plain_table
from thermal_perception.evaluation.from_files import score_label_maps
from thermal_perception.evaluation.segmentation import IGNORE

if TYPE_CHECKING:
    from pathlib import Path

    from rich.table import Table

    from thermal_perception.cli.score.report import Report
    from thermal_perception.evaluation.segmentation import SegmentationMetrics

_FIGURES = {'mIoU': 'mIoU', 'mean_accuracy': 'accuracy', 'pixel_accuracy': 'pixels right'}


@dataclass(frozen=True)
class SegmentationOptions:
    """What `score segmentation` was asked for; the fields are its options."""

    truth: Path
    predicted: Path
    classes: tuple[str, ...] | None = None
    ignore: int | None = IGNORE
    names: Path | None = None
    json: Path | None = None
    bootstrap: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse classes without a name or with the same."""
        check_classes(self.classes)


def score_segmentation(options: SegmentationOptions) -> None:
    """Score, print the tables and write the JSON file.

    Raises:
        ThermalPerceptionError: if a folder, a label map or an option is not acceptable.
    """
    console.check_writable(options.json)
    with progress() as tick:
        scorer, partners = score_label_maps(
            truth=options.truth,
            predicted=options.predicted,
            class_names=options.classes,
            ignore=options.ignore,
            names=options.names,
            tick=tick,
        )
    metrics = scorer.score()
    report = make_report(scorer.table(), options.bootstrap, options.seed)
    warn_left_out(partners.left_out, 'predicted')
    _print(options, metrics, report)
    write(
        options.json,
        {
            'truth': str(options.truth),
            'predicted': str(options.predicted),
            'ignore': options.ignore,
            'images': report.all.images,
            'left_out': {side: list(names) for side, names in partners.left_out.items()},
            'metrics': metrics.to_json(),
            **report.to_json('pixels'),
        },
    )


def classes_table(metrics: SegmentationMetrics, report: Report) -> Table:
    """Return a row per class and one for the means."""
    sure = ['95% interval'] if report.draws else []
    table = plain_table(['class'], ['pixels', 'IoU', *sure, 'accuracy'])
    for name, row in metrics.per_class.items():
        sure = interval_of(report.all, name, 'IoU')
        cells = [console.fraction(row.IoU), *sure, console.fraction(row.accuracy)]
        table.add_row(name, str(row.pixels), *cells)
    table.add_section()
    sure = interval_of(report.all, 'all', 'mIoU')
    cells = [console.fraction(metrics.mIoU), *sure, console.fraction(metrics.mean_accuracy)]
    table.add_row('all', str(metrics.pixels), *cells, style='bold')
    return table


def print_means(metrics: SegmentationMetrics) -> None:
    """Say what the table's last row is, and what it leaves out."""
    console.out.print(
        f'in %; all: means over the classes; {console.fraction(metrics.pixel_accuracy)}% of the '
        f'pixels are right'
    )
    if metrics.mIoU_foreground is not None:
        console.out.print(
            f'mIoU without the background: {console.fraction(metrics.mIoU_foreground)}'
        )
    if metrics.undefined:
        console.out.print(
            f'{metrics.undefined} classes are neither in truth nor predicted; the mean leaves '
            f'them out'
        )


def _print(options: SegmentationOptions, metrics: SegmentationMetrics, report: Report) -> None:
    console.out.print(f'{report.all.images} images of {options.predicted}', soft_wrap=True)
    console.out.print(classes_table(metrics, report))
    print_means(metrics)
    if report.parts:
        console.out.print(parts_table(report, 'pixels', _FIGURES))
    print_method(report)
