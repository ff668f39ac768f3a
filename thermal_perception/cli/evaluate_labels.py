"""`thermal-perception evaluate` of a model that labels pixels, on data with label images."""

from __future__ import annotations

from typing import Any, TYPE_CHECKING

from thermal_perception.cli import console
from thermal_perception.cli.score.report import make_report, print_method, progress, write
from thermal_perception.cli.score.segmentation import classes_table, print_means
from thermal_perception.cli.score.tables import parts_table
from thermal_perception.cli.score_tables import latency_text
from thermal_perception.errors import ConfigError
from thermal_perception.evaluation.label_results import LabelResult
from thermal_perception.evaluation.labelled_pairs import open_labelled_pairs, score_labels
from thermal_perception.evaluation.latency import LatencyRecorder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thermal_perception.cli.evaluate import EvaluateOptions
    from thermal_perception.cli.score.report import Report
    from thermal_perception.evaluation.segmentation import SegmentationMetrics
    from thermal_perception.perceive import Perceiver

_FIGURES = {
    'mIoU': 'mIoU',
    'mIoU_foreground': 'without background',
    'pixel_accuracy': 'pixels right',
}


def evaluate_labels(options: EvaluateOptions, perceiver: Perceiver) -> None:
    """Label, score, print the tables and write the JSON file.

    Raises:
        ThermalPerceptionError: if the data or an option is not acceptable.
    """
    if options.dataset is None or options.split is None:
        raise ConfigError(
            f'evaluate: {perceiver.info.model} labels pixels and needs --dataset DIR --split NAME'
        )
    pairs = open_labelled_pairs(options.dataset, options.split)
    latency = LatencyRecorder(lambda frames: perceiver(frames, wanted={'segmentation'}))
    with progress() as tick:
        scorer = score_labels(
            pairs,
            latency,
            perceiver.info.class_names,
            without=options.without,
            counts_seed=options.seed if options.bits == 16 else None,
            tick=tick,
        )
    by_scene = len({pair.unit for pair in pairs}) < len(pairs)
    result = LabelResult(
        scorer,
        {pair.name: pair.attributes for pair in pairs},
        {pair.name: pair.unit for pair in pairs},
    )
    report = make_report(
        result.table(), options.bootstrap, options.seed, unit='scene' if by_scene else 'image'
    )
    metrics, times = scorer.score(), latency.summary_ms()
    _print(options, perceiver, metrics, report, times)
    content = _content(options, perceiver, metrics, report, times)
    write(options.json, {**content, **result.to_json()})


def _print(
    options: EvaluateOptions,
    perceiver: Perceiver,
    metrics: SegmentationMetrics,
    report: Report,
    times: Mapping[str, Mapping[str, float]],
) -> None:
    info = perceiver.info
    absent = f', without {options.without} images' if options.without else ''
    console.out.print(
        f'{info.model} ({info.fingerprint}), {perceiver.backend} on {perceiver.device}\n'
        f'{report.all.images} pairs of {options.split}{absent}'
    )
    console.out.print(classes_table(metrics, report))
    print_means(metrics)
    if report.parts:
        console.out.print(parts_table(report, 'pixels', _FIGURES))
    print_method(report)
    console.out.print(latency_text(times))


def _content(
    options: EvaluateOptions,
    perceiver: Perceiver,
    metrics: SegmentationMetrics,
    report: Report,
    times: Mapping[str, Any],
) -> dict[str, Any]:
    info = perceiver.info
    return {
        'model': info.model,
        'parameters': info.parameters,
        'fingerprint': info.fingerprint,
        'images': report.all.images,
        'split': options.split,
        'without': options.without or None,
        'bits': options.bits,
        'seed': options.seed if options.bits == 16 else None,
        'metrics': metrics.to_json(),
        'device': perceiver.device,
        'backend': perceiver.backend,
        'latency_ms': times,
        **report.to_json('pixels'),
    }
