"""`thermal-perception score fusion`: how good fused images are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from thermal_perception.cli import console
from thermal_perception.cli.evaluate_pairs import UNITS
from thermal_perception.cli.score.report import (
    make_report,
    print_method,
    progress,
    warn_left_out,
    write,
)
from thermal_perception.cli.score.tables import quantities_table
from thermal_perception.evaluation.from_files import score_fused_images

if TYPE_CHECKING:
    from pathlib import Path

    from thermal_perception.cli.score.report import Report
    from thermal_perception.evaluation.image_fusion import FusionMetrics


@dataclass(frozen=True)
class FusionOptions:
    """What `score fusion` was asked for; the fields are its options."""

    thermal: Path
    rgb: Path
    fused: Path
    names: Path | None = None
    json: Path | None = None
    bootstrap: int = 0
    seed: int = 0


def score_fusion(options: FusionOptions) -> None:
    """Score, print the table and write the JSON file.

    Raises:
        ThermalPerceptionError: if a folder, an image or an option is not acceptable.
    """
    console.check_writable(options.json)
    with progress() as tick:
        scorer, partners = score_fused_images(
            thermal=options.thermal,
            rgb=options.rgb,
            fused=options.fused,
            names=options.names,
            tick=tick,
        )
    metrics = scorer.score()
    report = make_report(scorer.table(), options.bootstrap, options.seed)
    warn_left_out(partners.left_out, 'fused')
    _print(options, metrics, report)
    write(
        options.json,
        {
            'thermal': str(options.thermal),
            'rgb': str(options.rgb),
            'fused': str(options.fused),
            'images': metrics.images,
            'left_out': {side: list(names) for side, names in partners.left_out.items()},
            'metrics': metrics.to_json(),
            **report.to_json(None),
        },
    )


def _print(options: FusionOptions, metrics: FusionMetrics, report: Report) -> None:
    console.out.print(f'{metrics.images} images of {options.fused}', soft_wrap=True)
    for table in quantities_table([report.all, *report.parts]):
        console.out.print(table)
    console.out.print(UNITS)
    for figure, images in metrics.undefined.items():
        console.out.print(f'{figure} is undefined in {images} images, which its mean leaves out')
    print_method(report)
