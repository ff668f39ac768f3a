"""`thermal-perception compare`: whether two runs on the same images really differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TYPE_CHECKING

from thermal_perception.cli import console
from thermal_perception.cli.score_tables import (
    comparison_table,
    comparison_to_json,
    method,
    verdict,
)
from thermal_perception.errors import ConfigError
from thermal_perception.evaluation.attributes import sampling_units
from thermal_perception.evaluation.coco import read_annotations
from thermal_perception.evaluation.detection_statistics import (
    class_groups,
    compare as compare_tables,
    FIGURES,
    Resampling,
)
from thermal_perception.evaluation.detections_file import read_detections

if TYPE_CHECKING:
    from pathlib import Path

    from thermal_perception.cli.score_tables import Comparisons


@dataclass(frozen=True)
class CompareOptions:
    """What `compare` was asked for; the fields are its arguments and options."""

    first: Path
    second: Path
    dataset: Path
    split: str
    json: Path | None = None
    exclude: tuple[str, ...] = ()
    bootstrap: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse a comparison without resampling."""
        if self.bootstrap < 1:
            raise ConfigError(f'compare: found --bootstrap {self.bootstrap}, expected 1 or more')


def compare(options: CompareOptions) -> None:
    """Compare, print the tables and the verdict, and write the JSON file.

    Raises:
        ThermalPerceptionError: if a file, the data set or an option is not acceptable.
    """
    console.check_writable(options.json)
    annotations = read_annotations(options.dataset / 'annotations' / f'{options.split}.json')
    first, second = (
        read_detections(path, annotations).matches() for path in (options.first, options.second)
    )
    if unknown := sorted(set(options.exclude) - set(first.class_names)):
        raise ConfigError(
            f'--exclude-class {unknown[0]}: the data set has {", ".join(first.class_names)}'
        )
    unit, units = sampling_units(annotations, first.image_ids)
    draws = Resampling(units, options.bootstrap, options.seed)
    groups = class_groups(first.class_names, options.exclude)
    with console.err.status('resampling'):
        compared = compare_tables(first, second, groups, draws)
    _print(options, compared, len(first.image_ids), unit)
    if options.json:
        console.write_json(options.json, report(options, compared, len(first.image_ids), unit))


def report(
    options: CompareOptions, compared: Comparisons, images: int, unit: str
) -> dict[str, Any]:
    """Return the content of the JSON file; figures are fractions in 0..1."""
    return {
        'a': str(options.first),
        'b': str(options.second),
        'split': options.split,
        'images': images,
        **method(options.bootstrap, unit, options.seed),
        'groups': {
            group: {figure: comparison_to_json(one) for figure, one in figures.items()}
            for group, figures in compared.items()
        },
    }


def _print(options: CompareOptions, compared: Comparisons, images: int, unit: str) -> None:
    console.out.print(f'A {options.first}\nB {options.second}\n{images} images of {options.split}')
    for figure in FIGURES:
        console.out.print(comparison_table(compared, figure))
    console.out.print(verdict(compared['all']['mAP50'].difference, 'mAP50'), style='bold')
    console.out.print(
        f'paired percentile bootstrap, {options.bootstrap} draws of {unit}s, seed {options.seed}; '
        f'average precision in %'
    )
