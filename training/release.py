"""`python -m training release`: write the shipped weights and their card from one record.

The card's facts and metrics go into the file's own metadata too, so that neither can be
separated from the weights. The fingerprint covers weights and settings only: adding metrics does
not change it.
"""

from __future__ import annotations

from dataclasses import replace
import json
from pathlib import Path
from typing import Any, TYPE_CHECKING

from thermal_perception.config import from_mapping, read_yaml
from thermal_perception.errors import CheckpointError, ConfigError
from thermal_perception.models.checkpoint import (
    fingerprint_of,
    load_checkpoint,
    save_checkpoint,
    stored_tensors,
)
from thermal_perception.models.emiff.config import EmiffConfig

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from thermal_perception.models.checkpoint import Checkpoint
    from thermal_perception.models.record import CheckpointInfo

LIMIT_BYTES = 24 * 1024**2
# Kinds of results: figures of all classes, the first of which tells the kind, and the one of each
# class.
_KINDS = (
    (('mAP50', 'mAP', 'mAP75', 'mAP_small', 'mAP_medium', 'mAP_large'), 'mAP50'),
    (('mIoU', 'mIoU_foreground', 'mean_accuracy', 'pixel_accuracy'), 'IoU'),
    (('VIF', 'Qabf', 'SCD', 'EN', 'SD', 'SF', 'AG', 'MI', 'SSIM'), ''),
    (('AP3D_50', 'APBEV_50', 'AP3D_30', 'APBEV_30', 'AP3D_70', 'APBEV_70'), ''),
)
FIELDS = ('summary', 'data', 'training', 'limits', 'licence', 'attribution')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the verb."""
    parser.add_argument('checkpoint', type=Path, help='trained .safetensors file')
    parser.add_argument('--facts', type=Path, required=True, help=f'YAML with {", ".join(FIELDS)}')
    parser.add_argument(
        '--metrics',
        action='append',
        default=[],
        metavar='NAME=FILE',
        help='title of a result and the JSON that `thermal-perception evaluate` wrote',
    )
    parser.add_argument('--score-threshold', type=float, help='default threshold of the node')
    parser.add_argument(
        '--suppress-iou', type=float, help='overlap from which a box repeats a better one'
    )
    parser.add_argument(
        '--average', type=Path, help='another checkpoint of the same model; the mean is released'
    )
    parser.add_argument('--output', type=Path, required=True, help='.safetensors file to write')


def run(args: argparse.Namespace) -> None:
    """Write `OUTPUT` and, beside it, the card `OUTPUT` with suffix `.md`.

    Raises:
        ConfigError: if a fact is missing or a result belongs to other weights.
        CheckpointError: if a checkpoint cannot be read, or two of different models be averaged.
    """
    checkpoint = load_checkpoint(args.checkpoint)
    if args.average is not None:
        checkpoint = averaged(checkpoint, load_checkpoint(args.average), where=str(args.average))
    facts = read_yaml(args.facts)
    missing = [name for name in FIELDS if name not in facts]
    if missing:
        raise ConfigError(f'{args.facts}: missing {", ".join(missing)}')
    info = replace(
        checkpoint.info,
        training={
            **without_folders(checkpoint.info.training),
            **{k: facts[k] for k in ('data', 'training')},
        },
        licence=f'{facts["licence"]}; {facts["attribution"]}',
        score_threshold=args.score_threshold or checkpoint.info.score_threshold,
    )
    if args.suppress_iou is not None:
        info = _with_overlap(info, args.suppress_iou)
    fingerprint = fingerprint_of(stored_tensors(checkpoint.state), info)
    info = replace(info, metrics=dict(_read_result(e, fingerprint) for e in args.metrics))
    save_checkpoint(args.output, checkpoint.state, info)
    size = args.output.stat().st_size
    if size > LIMIT_BYTES:
        raise ConfigError(f'{args.output}: found {size} bytes, expected at most {LIMIT_BYTES}')
    card = card_text(load_checkpoint(args.output), facts, size)
    args.output.with_suffix('.md').write_text(card, encoding='utf-8')


def _with_overlap(info: CheckpointInfo, overlap: float) -> CheckpointInfo:
    """Return the record with another overlap from which a box repeats a better one."""
    if info.architecture == 'emiff':  # whose boxes overlap as seen from above
        return replace(info, config={**info.config, 'nms_iou': overlap})
    return replace(info, suppress_iou=overlap)


def _overlap(info: CheckpointInfo) -> float:
    if info.architecture == 'emiff':
        return from_mapping(EmiffConfig, info.config, where=info.model).nms_iou
    return info.suppress_iou


def averaged(first: Checkpoint, second: Checkpoint, *, where: str) -> Checkpoint:
    """Return the record of `first` with the mean of both weights.

    Two stages of one training lie in one basin, where the mean is often better than either.

    Source: Wortsman et al., Model soups, arXiv 2203.05482.

    Raises:
        CheckpointError: if they are not of the same model.
    """
    for name in ('model', 'config', 'class_names'):
        found, expected = getattr(second.info, name), getattr(first.info, name)
        if found != expected:
            raise CheckpointError(f'{where}: found {name} {found}, expected {expected}')
    state = {
        name: ((value.float() + second.state[name].float()) / 2).to(value.dtype)
        if value.is_floating_point()
        else value
        for name, value in first.state.items()
    }
    return replace(first, state=state)


def without_folders(training: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record of a training whose data sets have names instead of absolute folders.

    Where a machine keeps its data is no business of those who get the weights.
    """
    config = dict(training.get('config', {}))
    for use in ('train', 'dev'):
        if use in config:
            config[use] = [
                {**source, 'directory': _name_of(source['directory'])} for source in config[use]
            ]
    return {**training, 'config': config} if config else dict(training)


def _name_of(directory: str) -> str:
    return Path(directory).name if Path(directory).is_absolute() else directory


def card_text(checkpoint: Checkpoint, facts: Mapping[str, Any], size: int) -> str:
    """Return the card as Markdown."""
    info = checkpoint.info
    parameters = sum(v.numel() for v in checkpoint.state.values())
    lines = [
        f'# {info.model}',
        '',
        facts['summary'].strip(),
        '',
        '| | |',
        '|---|---|',
        f'| fingerprint | `{checkpoint.fingerprint}` |',
        f'| file | {size / 1e6:.1f} MB, {parameters / 1e6:.2f} M values, float16 |',
        f'| classes | {", ".join(info.class_names)} |',
        f'| default score threshold | {info.score_threshold} |',
        f'| overlap that makes a box a repetition | {_overlap(info)} |',
        f'| trained by the code of commit | `{info.source_commit}` |',
        f'| licence | {facts["licence"].strip()} |',
        '',
    ]
    for title in ('data', 'training', 'limits', 'attribution'):
        lines += [f'## {title.capitalize()}', '', facts[title].strip(), '']
    return '\n'.join([*lines, '## Results', '', *_results_tables(info.metrics)])


def _results_tables(metrics: Mapping[str, Any]) -> Sequence[str]:
    """Return a table for each kind of result that there is."""
    lines: list[str] = []
    for columns, of_class in _KINDS:
        if of_kind := {name: m for name, m in metrics.items() if columns[0] in m}:
            lines += _results_table(of_kind, columns, of_class)
    return lines


def _results_table(
    metrics: Mapping[str, Any], columns: Sequence[str], of_class: str
) -> Sequence[str]:
    classes = list(next(iter(metrics.values())).get('per_class', ()))
    header = ['result', 'images', *columns, *(f'{c} {of_class}' for c in classes)]
    rows = ['| ' + ' | '.join(header) + ' |', '|' + '---|' * len(header)]
    for name, values in metrics.items():
        figures = [str(values['images']), *(_figure(values.get(c)) for c in columns)]
        figures += [_figure(values.get('per_class', {}).get(c, {}).get(of_class)) for c in classes]
        rows.append('| ' + ' | '.join([name, *figures]) + ' |')
    return [*rows, '']


def _figure(value: float | None) -> str:
    return '–' if value is None else f'{value:.3f}'


def _read_result(entry: str, fingerprint: str) -> tuple[str, dict[str, Any]]:
    name, equals, path = entry.partition('=')
    if not equals:
        raise ConfigError(f'--metrics {entry!r}: expected NAME=FILE')
    try:
        result = json.loads(Path(path).read_text(encoding='utf-8'))
    except (OSError, ValueError) as error:
        raise ConfigError(f'--metrics {path}: cannot be read: {error}') from error
    if result.get('fingerprint') != fingerprint:
        raise ConfigError(
            f'--metrics {path}: found results of fingerprint {result.get("fingerprint")!r}, '
            f'expected {fingerprint!r}'
        )
    return name, {'images': result['images'], **result['metrics']}
