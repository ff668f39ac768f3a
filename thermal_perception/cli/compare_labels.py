"""`thermal-perception compare-labels`: whether two models really label pixels differently well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from thermal_perception.cli import console
from thermal_perception.cli.score_tables import (
    comparison_table,
    comparison_to_json,
    method,
    verdict,
)
from thermal_perception.errors import ConfigError
from thermal_perception.evaluation.figures import Draws
from thermal_perception.evaluation.label_results import compare_label_results, read_label_result

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class CompareLabelsOptions:
    """What `compare-labels` was asked for; the fields are its arguments and options."""

    first: Path
    second: Path
    json: Path | None = None
    bootstrap: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse a comparison without resampling."""
        if self.bootstrap < 1:
            raise ConfigError(
                f'compare-labels: found --bootstrap {self.bootstrap}, expected 1 or more'
            )


def compare_labels(options: CompareLabelsOptions) -> None:
    """Compare, print the table and the verdict, and write the JSON file.

    Raises:
        ThermalPerceptionError: if a file is not acceptable, or the two do not belong together.
    """
    console.check_writable(options.json)
    first, second = read_label_result(options.first), read_label_result(options.second)
    draws = Draws(options.bootstrap, options.seed)
    with console.err.status('resampling'):
        compared = compare_label_results(first, second, draws)
    images, scenes = len(first.units), len(set(first.units.values()))
    unit = 'scene' if scenes < images else 'image'
    console.out.print(f'A {options.first}\nB {options.second}\n{images} images', soft_wrap=True)
    console.out.print(comparison_table(compared, 'mIoU'))
    console.out.print(verdict(compared['all']['mIoU'].difference, 'mIoU'), style='bold')
    console.out.print(
        f'paired percentile bootstrap, {options.bootstrap} draws of {unit}s, seed {options.seed}; '
        f'in %; IoU of single classes'
    )
    if options.json:
        content = {
            'a': str(options.first),
            'b': str(options.second),
            'images': images,
            **method(options.bootstrap, unit, options.seed),
            'groups': {
                group: {figure: comparison_to_json(one) for figure, one in figures.items()}
                for group, figures in compared.items()
            },
        }
        console.write_json(options.json, content)
