"""The verb itself: find the weights, judge them, write the page."""

from __future__ import annotations

from pathlib import Path
import shlex
import sys
from typing import TYPE_CHECKING

from tqdm import tqdm

from thermal_perception.config import read_yaml
from thermal_perception.errors import ConfigError
from thermal_perception.evaluation.dataset import open_split
from thermal_perception.evaluation.labelled_pairs import open_labelled_pairs
from thermal_perception.perceive import Perceiver
from training.report.box_page import box_page
from training.report.history import History
from training.report.judge import judge
from training.report.judge_labels import judge_labels
from training.report.label_page import label_page
from training.report.page import figure_text, Origin

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the verb."""
    parser.add_argument(
        'run', type=Path, metavar='RUN', help='folder of a run, or a checkpoint (.safetensors)'
    )
    parser.add_argument(
        '--dataset', type=Path, required=True, help='COCO layout, or one with label images'
    )
    parser.add_argument('--split', default='val', help='its split')
    parser.add_argument('--output', type=Path, help='HTML file, RUN/report.html if unset')
    parser.add_argument('--weights', choices=('best', 'last'), help='of a run; default: best')
    parser.add_argument('--resamples', type=int, default=1000, help='of the bootstrap, 0 for none')
    parser.add_argument('--device', default='auto', help='cpu, cuda, or auto: the GPU if any')


def run(args: argparse.Namespace) -> int:
    """Write the report; returns the exit code."""
    checkpoint = find_weights(args.run, args.weights)
    output = args.output or (args.run if args.run.is_dir() else Path()) / 'report.html'
    if not output.parent.is_dir():
        raise ConfigError(f'--output {output}: no such folder')
    perceiver = Perceiver.load(checkpoint, device=args.device)
    report = _label_report if 'segmentation' in perceiver.outputs else _box_report
    text, summary = report(perceiver, args)
    output.write_text(text, encoding='utf-8')
    print(f'{output}: {summary}')
    return 0


def _box_report(perceiver: Perceiver, args: argparse.Namespace) -> tuple[str, str]:
    """Return the page about a model that finds boxes, and a line about it."""
    split = open_split(args.dataset, args.split)
    with tqdm(total=len(split.images), desc='judging', unit='image') as bar:
        found = judge(
            perceiver, split, resamples=args.resamples, tick=lambda done, _: bar.update(1)
        )
    text = box_page(_origin(perceiver, args), found)
    return text, f'mAP50 {found.metrics.mAP50:.3f} over {len(split.images)} images'


def _label_report(perceiver: Perceiver, args: argparse.Namespace) -> tuple[str, str]:
    """Return the page about a model that labels pixels, and a line about it."""
    pairs = open_labelled_pairs(args.dataset, args.split)
    with tqdm(total=len(pairs), desc='judging', unit='pair') as bar:
        found = judge_labels(
            perceiver, pairs, resamples=args.resamples, tick=lambda done, _: bar.update(1)
        )
    text = label_page(_origin(perceiver, args), found)
    return text, f'mIoU {figure_text(found.metrics.mIoU, None)} over {len(pairs)} pairs'


def _origin(perceiver: Perceiver, args: argparse.Namespace) -> Origin:
    is_run = args.run.is_dir()
    recorded = args.run / 'config.yaml'
    return Origin(
        perceiver.info,
        history=History.read(args.run) if is_run else None,
        config=read_yaml(recorded) if is_run and recorded.is_file() else perceiver.info.metadata,
        data=f'{args.dataset.name} {args.split}',
        command=shlex.join(['python', '-m', 'training', *sys.argv[1:]]),
    )


def find_weights(run: Path, which: str | None) -> Path:
    """Return the checkpoint of a run folder, or the file itself.

    Raises:
        ConfigError: if there is none.
    """
    if run.is_file():
        return run
    names = [which] if which else ['best', 'last']
    for name in names:
        file = run / f'{name}.safetensors'
        if file.is_file():
            return file
    raise ConfigError(f'{run}: found no {" or ".join(names)}.safetensors, expected a run folder')
