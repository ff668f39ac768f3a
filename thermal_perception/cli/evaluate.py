"""`thermal-perception evaluate`: score a checkpoint on a data set or on a bag."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TYPE_CHECKING

from rich.table import Table

from thermal_perception.cli import console
from thermal_perception.errors import ConfigError
from thermal_perception.evaluation.bag import score_bag
from thermal_perception.evaluation.dataset import open_split, score_split
from thermal_perception.evaluation.scale_weights import FusionRecorder, mean_object_areas
from thermal_perception.perceive import default_checkpoint, Perceiver

if TYPE_CHECKING:
    from pathlib import Path

    from thermal_perception.evaluation import ClassMetrics, DetectionMetrics
    from thermal_perception.evaluation.scale_weights import FusionSummary


@dataclass(frozen=True)
class EvaluateOptions:
    """What `evaluate` was asked for; the fields are its options."""

    dataset: Path | None = None
    split: str | None = None
    bag: Path | None = None
    image_topic: str = ''
    model: str = 'fusion_detr_lite'
    checkpoint: Path | None = None
    json: Path | None = None
    bits: int = 8
    seed: int = 0
    exclude: tuple[str, ...] = ()
    fusion_csv: Path | None = None
    device: str = 'auto'
    threads: int | None = None

    def __post_init__(self) -> None:
        """Refuse contradictory options."""
        if (self.dataset is None) == (self.bag is None):
            raise ConfigError('evaluate: expected either --dataset DIR --split NAME or --bag BAG')
        if self.dataset is not None and not self.split:
            raise ConfigError('evaluate: --dataset needs --split, for example --split val')
        if self.bits not in (8, 16):
            raise ConfigError(f'evaluate: found --bits {self.bits}, expected 8 or 16')
        if self.bag is not None and self.bits != 8:
            raise ConfigError('evaluate: --bits is for data sets; a bag is scored as recorded')
        if self.bag is not None and self.fusion_csv:
            raise ConfigError('evaluate: --fusion-csv is for data sets, whose images have names')


def evaluate(options: EvaluateOptions) -> None:
    """Score, print the table and write the JSON file.

    Raises:
        ThermalPerceptionError: if the data, the checkpoint or an option is not acceptable.
    """
    console.check_writable(options.json)
    console.check_writable(options.fusion_csv)
    checkpoint = options.checkpoint or default_checkpoint(options.model)
    perceiver = Perceiver.load(checkpoint, device=options.device, num_threads=options.threads)
    _check_classes(options.exclude, perceiver.info.class_names)
    metrics, images = _score(options, perceiver)
    _print_metrics(options, perceiver, metrics, images)
    if options.json:
        console.write_json(options.json, report(options, perceiver, metrics, images))


def report(
    options: EvaluateOptions, perceiver: Perceiver, metrics: DetectionMetrics, images: int
) -> dict[str, Any]:
    """Return the content of the JSON file; metrics are fractions in 0..1."""
    info = perceiver.info
    values = metrics.to_json()
    if options.exclude:
        without = metrics.without(options.exclude).to_json()
        del without['per_class']
        values['without'] = {'classes': list(options.exclude), **without}
    return {
        'model': info.model,
        'parameters': info.parameters,
        'fingerprint': info.fingerprint,
        'images': images,
        'metrics': values,
        'split': options.split,
        'bits': None if options.bag else options.bits,
        'seed': options.seed if options.bits == 16 else None,
        'device': perceiver.device,
        'backend': perceiver.backend,
    }


def metrics_table(metrics: DetectionMetrics, exclude: tuple[str, ...]) -> Table:
    """Return the COCO table in per cent, a row per class and one for the mean."""
    table = Table(title_justify='left', header_style='bold')
    table.add_column('class')
    for name in ('objects', 'mAP', 'mAP50', 'mAP75', 'small', 'medium', 'large', 'AR100'):
        table.add_column(name, justify='right')
    for name, row in metrics.per_class.items():
        table.add_row(name, *_cells(row))
    table.add_section()
    table.add_row('all', *_cells(metrics), style='bold')
    if exclude:
        table.add_row(f'without {", ".join(exclude)}', *_cells(metrics.without(exclude)))
    return table


def _cells(row: ClassMetrics) -> list[str]:
    values = (row.mAP, row.mAP50, row.mAP75, row.mAP_small, row.mAP_medium, row.mAP_large)
    return [str(row.boxes), *map(console.fraction, values), console.fraction(row.AR100)]


def _score(options: EvaluateOptions, perceiver: Perceiver) -> tuple[DetectionMetrics, int]:
    names = perceiver.info.class_names
    with console.progress_bar('scoring') as progress:

        def tick(done: int, total: int) -> None:
            progress.update(progress.task_ids[0], completed=done, total=total)

        if options.bag is not None:
            scored = score_bag(
                options.bag, perceiver, names, image_topic=options.image_topic, tick=tick
            )
            if scored.unlabelled:
                console.err.print(
                    f'{scored.unlabelled} images without ground truth were left out',
                    style='yellow',
                )
            return scored.metrics, scored.images
        assert options.dataset is not None
        assert options.split is not None
        split = open_split(options.dataset, options.split)
        seed = options.seed if options.bits == 16 else None
        recorder = FusionRecorder(perceiver) if options.fusion_csv else None
        metrics = score_split(split, recorder or perceiver, names, counts_seed=seed, tick=tick)
    if recorder is not None and options.fusion_csv:
        recorder.write_csv(options.fusion_csv)
        console.out.print(fusion_table(recorder.summary(mean_object_areas(split))))
    return metrics, len(split.images)


def fusion_table(summary: FusionSummary) -> Table:
    """Return mean and deviation of each scale's weight, and how it goes with object size."""
    table = Table(title='weight of each scale', title_justify='left', header_style='bold')
    for name in ('stride', 'mean', 'std', 'correlation with mean box area'):
        table.add_column(name, justify='right')
    rows = zip(summary.strides, summary.mean, summary.std, summary.area_correlation)
    for stride, mean, std, correlation in rows:
        table.add_row(str(stride), f'{mean:.3f}', f'{std:.3f}', f'{correlation:.2f}')
    return table


def _check_classes(exclude: tuple[str, ...], class_names: tuple[str, ...]) -> None:
    unknown = [name for name in exclude if name not in class_names]
    if unknown:
        raise ConfigError(f'--exclude-class {unknown[0]}: the model has {", ".join(class_names)}')


def _print_metrics(
    options: EvaluateOptions, perceiver: Perceiver, metrics: DetectionMetrics, images: int
) -> None:
    info = perceiver.info
    source = options.bag if options.bag else f'{options.split}, {options.bits}-bit input'
    console.out.print(
        f'{info.model} ({info.fingerprint}), {perceiver.backend} on {perceiver.device}: '
        f'{images} images of {source}'
    )
    console.out.print(metrics_table(metrics, options.exclude))
    console.out.print('average precision in %, COCO protocol; small < 32² px, large >= 96² px')
