"""`thermal-perception evaluate`: score a checkpoint on a data set or on a bag."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, TYPE_CHECKING

from rich.table import Table

from thermal_perception.backends.formats import FORMATS
from thermal_perception.cli import console
from thermal_perception.cli.evaluate_frames import evaluate_frames
from thermal_perception.cli.evaluate_labels import evaluate_labels
from thermal_perception.cli.evaluate_pairs import evaluate_pairs
from thermal_perception.cli.score_tables import (
    breakdown_table,
    intervals_table,
    intervals_to_json,
    latency_text,
    method,
    metrics_table,
    slice_to_json,
)
from thermal_perception.errors import ConfigError
from thermal_perception.evaluation.attributes import attributes_by_id, sampling_units
from thermal_perception.evaluation.bag import score_bag
from thermal_perception.evaluation.dataset import detect_split, open_split
from thermal_perception.evaluation.detection_statistics import (
    breakdown,
    class_groups,
    headline,
    Resampling,
    score_intervals,
)
from thermal_perception.evaluation.detections_file import write_detections
from thermal_perception.evaluation.latency import LatencyRecorder
from thermal_perception.evaluation.pairs import is_pair_folder
from thermal_perception.evaluation.scale_weights import FusionRecorder, mean_object_areas
from thermal_perception.models.record import read_record
from thermal_perception.perceive import Perceiver
from thermal_perception.resources import shipped_weights

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from thermal_perception.cli.score_tables import Intervals
    from thermal_perception.evaluation import CocoScorer, DetectionMetrics
    from thermal_perception.evaluation.detection_statistics import Slice
    from thermal_perception.evaluation.scale_weights import FusionSummary
    from thermal_perception.types import Modality


_CAMERAS = ('', 'thermal', 'rgb', 'ego', 'infra')
_TAKE_ARTEFACTS = (*(kind.backend for kind in FORMATS.values()), 'auto')


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
    detections: Path | None = None
    bootstrap: int = 0
    without: str = ''
    device: str = 'auto'
    backend: str = 'torch'
    precision: str = 'auto'
    artefact: Path | None = None
    threads: int | None = None
    level: str = ''
    delay: int = 0

    def __post_init__(self) -> None:
        """Refuse contradictory options."""
        if (self.dataset is None) == (self.bag is None):
            raise ConfigError('evaluate: expected either --dataset DIR --split NAME or --bag BAG')
        if self.dataset is not None and not (self.split or is_pair_folder(self.dataset)):
            raise ConfigError('evaluate: --dataset needs --split, for example --split val')
        if self.bits not in (8, 16):
            raise ConfigError(f'evaluate: found --bits {self.bits}, expected 8 or 16')
        if self.bag is not None and self.bits != 8:
            raise ConfigError('evaluate: --bits is for data sets; a bag is scored as recorded')
        if self.bag is not None and self.fusion_csv:
            raise ConfigError('evaluate: --fusion-csv is for data sets, whose images have names')
        if self.bag is not None and self.detections:
            raise ConfigError('evaluate: --detections is for data sets, whose images have ids')
        if self.without not in _CAMERAS:
            raise ConfigError(
                f'evaluate: found --without {self.without}, expected thermal or rgb; ego or infra'
            )
        if self.artefact is not None and self.backend not in _TAKE_ARTEFACTS:
            raise ConfigError(
                f'evaluate: found --artefact {self.artefact} with --backend {self.backend}, which '
                f'takes none, expected {", ".join(_TAKE_ARTEFACTS)}'
            )
        if self.bootstrap < 0:
            raise ConfigError(f'evaluate: found --bootstrap {self.bootstrap}, expected 0 or more')


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found.

    Attributes:
        metrics: COCO figures over all images.
        images: number of images.
        slices: figures of the parts that the names of the images tell.
        latency_ms: median and 90th percentile of each stage.
        values: group of classes to the headline figures.
        intervals: the same with their intervals; empty without a bootstrap.
        unit: what the bootstrap draws.
    """

    metrics: DetectionMetrics
    images: int
    slices: tuple[Slice, ...]
    latency_ms: Mapping[str, Mapping[str, float]]
    values: Mapping[str, Mapping[str, float | None]]
    intervals: Intervals
    unit: str


def evaluate(options: EvaluateOptions) -> None:
    """Score, print the tables and write the files.

    Raises:
        ThermalPerceptionError: if the data, the checkpoint or an option is not acceptable.
    """
    for path in (options.json, options.fusion_csv, options.detections):
        console.check_writable(path)
    checkpoint = options.checkpoint or shipped_weights(options.model)
    if read_record(checkpoint).architecture == 'emiff':
        evaluate_frames(options, checkpoint)
        return
    if options.without in ('ego', 'infra') or options.level or options.delay:
        raise ConfigError(
            'evaluate: --without ego or infra, --level and --delay are for a model of a vehicle '
            'and the roadside'
        )
    perceiver = Perceiver.load(
        checkpoint,
        device=options.device,
        num_threads=options.threads,
        backend=options.backend,
        precision=options.precision,
        artefact=options.artefact,
    )
    for note in perceiver.backend_notes:
        console.err.print(f'{perceiver.backend}: {note}', markup=False)
    if 'segmentation' in perceiver.outputs:
        _check_for_labels(options, perceiver.info.model)
        evaluate_labels(options, perceiver)
        return
    if options.dataset is not None and is_pair_folder(options.dataset):
        _check_fuses(options, perceiver)
        evaluate_pairs(options.dataset, options.split, perceiver, options.json)
        return
    _check_classes(options.exclude, perceiver.info.class_names)
    latency = LatencyRecorder(lambda frames: perceiver(frames, wanted={'detections'}))
    scorer, annotations = _detect(options, perceiver, latency)
    if options.detections:
        write_detections(options.detections, scorer.detections())
    found = _judge(options, scorer, annotations, latency)
    _print(options, perceiver, found)
    if options.json:
        console.write_json(options.json, report(options, perceiver, found))


def report(options: EvaluateOptions, perceiver: Perceiver, found: Evaluation) -> dict[str, Any]:
    """Return the content of the JSON file; metrics are fractions in 0..1."""
    info = perceiver.info
    values = found.metrics.to_json()
    if options.exclude:
        without = found.metrics.without(options.exclude).to_json()
        del without['per_class']
        values['without'] = {'classes': list(options.exclude), **without}
    content = {
        'model': info.model,
        'parameters': info.parameters,
        'fingerprint': info.fingerprint,
        'images': found.images,
        'metrics': values,
        'split': options.split,
        'without': options.without or None,
        'bits': None if options.bag else options.bits,
        'seed': options.seed if options.bits == 16 else None,
        'device': perceiver.device,
        'backend': perceiver.backend,
        'latency_ms': found.latency_ms,
        'breakdown': [slice_to_json(part) for part in found.slices],
    }
    if options.bootstrap:
        how = method(options.bootstrap, found.unit, options.seed)
        content['intervals'] = {**how, 'groups': intervals_to_json(found.intervals)}
    return content


def _detect(
    options: EvaluateOptions, perceiver: Perceiver, latency: LatencyRecorder
) -> tuple[CocoScorer, Mapping[str, Any]]:
    """Run the model over all images; return what it found, and the annotations of the images."""
    names, cameras = perceiver.info.class_names, _cameras(options, perceiver)
    with console.progress_bar('scoring') as progress:

        def tick(done: int, total: int) -> None:
            progress.update(progress.task_ids[0], completed=done, total=total)

        if options.bag is not None:
            if 'rgb' in cameras:
                raise ConfigError(
                    'evaluate: --bag gives thermal images alone, add --without rgb to score '
                    f'{perceiver.info.model} so'
                )
            scored = score_bag(
                options.bag, latency, names, image_topic=options.image_topic, tick=tick
            )
            if scored.unlabelled:
                console.err.print(
                    f'{scored.unlabelled} images without ground truth were left out',
                    style='yellow',
                )
            return scored.scorer, {'images': []}
        assert options.dataset is not None
        assert options.split is not None
        split = open_split(options.dataset, options.split)
        seed = options.seed if options.bits == 16 else None
        recorder = FusionRecorder(latency) if options.fusion_csv else None
        scorer = detect_split(
            split, recorder or latency, names, cameras=cameras, counts_seed=seed, tick=tick
        )
    if recorder is not None and options.fusion_csv:
        recorder.write_csv(options.fusion_csv)
        console.out.print(fusion_table(recorder.summary(mean_object_areas(split))))
    return scorer, split.annotations


def _judge(
    options: EvaluateOptions,
    scorer: CocoScorer,
    annotations: Mapping[str, Any],
    latency: LatencyRecorder,
) -> Evaluation:
    table = scorer.matches()
    groups = class_groups(scorer.class_names, options.exclude)
    unit, units = sampling_units(annotations, table.image_ids)
    draws = Resampling(units, options.bootstrap, options.seed) if options.bootstrap else None
    intervals: Intervals = {}
    with console.err.status('resampling') if draws else nullcontext():
        if draws:
            intervals = score_intervals(table, groups, draws)
        slices = breakdown(table, attributes_by_id(annotations), groups, draws)
    return Evaluation(
        scorer.score(),
        len(table.image_ids),
        tuple(slices),
        latency.summary_ms(),
        headline(table, groups),
        intervals,
        unit,
    )


def fusion_table(summary: FusionSummary) -> Table:
    """Return mean and deviation of each scale's weight, and how it goes with object size."""
    table = Table(title='weight of each scale', title_justify='left', header_style='bold')
    for name in ('stride', 'mean', 'std', 'correlation with mean box area'):
        table.add_column(name, justify='right')
    rows = zip(summary.strides, summary.mean, summary.std, summary.area_correlation)
    for stride, mean, std, correlation in rows:
        table.add_row(str(stride), f'{mean:.3f}', f'{std:.3f}', f'{correlation:.2f}')
    return table


def _check_for_labels(options: EvaluateOptions, model: str) -> None:
    """Refuse options that are about boxes."""
    about_boxes = {
        '--exclude-class': options.exclude,
        '--fusion-csv': options.fusion_csv,
        '--detections': options.detections,
        '--bag': options.bag,
    }
    for name, value in about_boxes.items():
        if value:
            raise ConfigError(
                f'evaluate: {name} is for models that find boxes; {model} labels pixels'
            )


def _check_fuses(options: EvaluateOptions, perceiver: Perceiver) -> None:
    if 'rgb' not in perceiver.cameras:
        raise ConfigError(
            f'{options.dataset}: found pairs of images without boxes, but {perceiver.info.model} '
            'looks at thermal images alone'
        )
    if options.without:
        raise ConfigError(
            f'evaluate: --without {options.without} leaves nothing to fuse in {options.dataset}'
        )


def _cameras(options: EvaluateOptions, perceiver: Perceiver) -> tuple[Modality, ...]:
    """Return the cameras that the model gets to see."""
    cameras = tuple(c for c in perceiver.cameras if c != options.without)
    if not cameras or (options.without and cameras == perceiver.cameras):
        raise ConfigError(
            f'evaluate: --without {options.without} makes no sense for {perceiver.info.model}, '
            f'which looks at {" and ".join(perceiver.cameras)} images'
        )
    return cameras


def _check_classes(exclude: tuple[str, ...], class_names: tuple[str, ...]) -> None:
    unknown = [name for name in exclude if name not in class_names]
    if unknown:
        raise ConfigError(f'--exclude-class {unknown[0]}: the model has {", ".join(class_names)}')


def _print(options: EvaluateOptions, perceiver: Perceiver, found: Evaluation) -> None:
    info = perceiver.info
    source = options.bag if options.bag else f'{options.split}, {options.bits}-bit input'
    absent = f', without {options.without} images' if options.without else ''
    console.out.print(
        f'{info.model} ({info.fingerprint}), {perceiver.backend} on {perceiver.device}\n'
        f'{found.images} images of {source}{absent}'
    )
    console.out.print(metrics_table(found.metrics, options.exclude))
    console.out.print('average precision in %, COCO protocol; small < 32² px, large >= 96² px')
    if found.slices:
        console.out.print(breakdown_table(found.slices))
    if found.intervals:
        console.out.print(intervals_table(found.values, found.intervals))
        console.out.print(
            f'intervals: percentile bootstrap, {options.bootstrap} draws of {found.unit}s, '
            f'seed {options.seed}'
        )
    if found.latency_ms:
        console.out.print(latency_text(found.latency_ms))
