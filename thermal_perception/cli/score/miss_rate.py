"""`thermal-perception score miss-rate`: how many pedestrians a detector misses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from thermal_perception.cli import console
from thermal_perception.cli.score.report import make_report, print_method, warn, write
from thermal_perception.cli.score.tables import parts_table
from thermal_perception.evaluation.from_files import score_pedestrians
from thermal_perception.evaluation.miss_rate import ALL, FALSE_PER_IMAGE, REASONABLE

if TYPE_CHECKING:
    from pathlib import Path

    from thermal_perception.cli.score.report import Report
    from thermal_perception.evaluation.from_files.pedestrians import PedestrianScores
    from thermal_perception.evaluation.miss_rate import MissRate

SETTINGS = {'reasonable': REASONABLE, 'all': ALL}

_FIGURES = {'lamr': 'miss rate', 'recall': 'recall'}


@dataclass(frozen=True)
class MissRateOptions:
    """What `score miss-rate` was asked for; the fields are its options."""

    dataset: Path
    split: str
    detections: Path
    setting: str = 'reasonable'
    json: Path | None = None
    bootstrap: int = 0
    seed: int = 0


def score_miss_rate(options: MissRateOptions) -> None:
    """Score, print the table and write the JSON file.

    Raises:
        ThermalPerceptionError: if the annotations, the boxes or an option are not acceptable.
    """
    console.check_writable(options.json)
    annotations = options.dataset / 'annotations' / f'{options.split}.json'
    found = score_pedestrians(annotations, options.detections, SETTINGS[options.setting])
    metrics = found.scorer.score()
    table = found.scorer.table(found.units)
    report = make_report(table, options.bootstrap, options.seed, found.unit)
    _warn(found)
    _print(options, metrics, report)
    write(
        options.json,
        {
            'detections': str(options.detections),
            'split': options.split,
            'setting': options.setting,
            'images': metrics.images,
            'other_boxes': found.other_boxes,
            'unknown_occlusion': found.unknown_occlusion,
            'metrics': {**metrics.to_json(), 'false_per_image': FALSE_PER_IMAGE.tolist()},
            **report.to_json('objects'),
        },
    )


def _warn(found: PedestrianScores) -> None:
    if found.other_boxes:
        warn(f'{found.other_boxes} boxes of other categories were left out')
    if found.unknown_occlusion:
        warn(
            f'{found.unknown_occlusion} pedestrians have no `occlusion` in the annotations and '
            f'were taken as fully visible'
        )


def _print(options: MissRateOptions, metrics: MissRate, report: Report) -> None:
    console.out.print(
        f'{metrics.images} images of {options.split}, setting {options.setting}: '
        f'{options.detections}',
        soft_wrap=True,
    )
    console.out.print(parts_table(report, 'people', _FIGURES, everything=True))
    console.out.print(
        'in %; log-average miss rate over 10^-2 .. 10^0 false boxes per image, the lower\n'
        'the better'
    )
    print_method(report)
