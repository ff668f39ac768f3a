"""`thermal-perception score oriented`: how good boxes at any angle are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from thermal_perception.cli import console
from thermal_perception.cli.score.report import (
    check_classes,
    make_report,
    print_method,
    warn,
    write,
)
from thermal_perception.cli.score.tables import interval_of, parts_table
from thermal_perception.cli.score_tables import plain_table
from thermal_perception.evaluation.from_files import score_oriented_boxes

if TYPE_CHECKING:
    from pathlib import Path

    from rich.table import Table

    from thermal_perception.cli.score.report import Report
    from thermal_perception.evaluation.from_files.oriented import OrientedScores
    from thermal_perception.evaluation.oriented import OrientedMetrics

_FIGURES = {'mAP50': 'mAP50', 'mAP50_voc07': 'VOC07'}


@dataclass(frozen=True)
class OrientedOptions:
    """What `score oriented` was asked for; the fields are its options."""

    truth: Path
    detections: Path
    classes: tuple[str, ...] | None = None
    json: Path | None = None
    bootstrap: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse classes without a name or with the same."""
        check_classes(self.classes)


def score_oriented(options: OrientedOptions) -> None:
    """Score, print the tables and write the JSON file.

    Raises:
        ThermalPerceptionError: if a file of boxes or an option is not acceptable.
    """
    console.check_writable(options.json)
    found = score_oriented_boxes(
        truth=options.truth, detections=options.detections, class_names=options.classes
    )
    metrics = found.scorer.score()
    report = make_report(found.scorer.table(), options.bootstrap, options.seed)
    _warn(found)
    _print(options, metrics, report)
    write(
        options.json,
        {
            'truth': str(options.truth),
            'detections': str(options.detections),
            'iou': found.scorer.iou,
            'images': report.all.images,
            'without_results': list(found.without_results),
            'other_objects': dict(found.other_objects),
            'other_boxes': dict(found.other_boxes),
            'metrics': metrics.to_json(),
            **report.to_json('boxes'),
        },
    )


def classes_table(metrics: OrientedMetrics, report: Report) -> Table:
    """Return a row per class and one for the means."""
    sure = ['95% interval'] if report.draws else []
    table = plain_table(['class'], ['objects', 'mAP50', *sure, 'VOC07', *sure])
    for name, row in (*metrics.per_class.items(), ('all', metrics)):
        if name == 'all':
            table.add_section()
        table.add_row(
            name,
            str(row.boxes),
            console.fraction(row.mAP50),
            *interval_of(report.all, name, 'mAP50'),
            console.fraction(row.mAP50_voc07),
            *interval_of(report.all, name, 'mAP50_voc07'),
            style='bold' if name == 'all' else None,
        )
    return table


def _warn(found: OrientedScores) -> None:
    if found.without_results:
        warn(f'no file of results for {", ".join(found.without_results)}: counted as not found')
    for what, others in (('true', found.other_objects), ('found', found.other_boxes)):
        if others:
            listed = ', '.join(f'{number} {name}' for name, number in others.items())
            warn(f'{what} boxes of other classes were left out: {listed}')


def _print(options: OrientedOptions, metrics: OrientedMetrics, report: Report) -> None:
    console.out.print(f'{report.all.images} images of {options.truth}', soft_wrap=True)
    console.out.print(classes_table(metrics, report))
    console.out.print(
        'average precision in % at IoU above 0.5: area under the curve; VOC07 is the mean\n'
        'at 11 recalls, as DroneVehicle publishes it'
    )
    if report.parts:
        console.out.print(parts_table(report, 'objects', _FIGURES))
    print_method(report)
