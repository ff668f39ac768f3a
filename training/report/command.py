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
from thermal_perception.perceive import Perceiver
from training.report.history import History
from training.report.judge import judge
from training.report.page import render_page

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the verb."""
    parser.add_argument(
        'run', type=Path, metavar='RUN', help='folder of a run, or a checkpoint (.safetensors)'
    )
    parser.add_argument('--dataset', type=Path, required=True, help='data set in COCO layout')
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
    split = open_split(args.dataset, args.split)
    perceiver = Perceiver.load(checkpoint, device=args.device)
    with tqdm(total=len(split.images), desc='judging', unit='image') as bar:
        found = judge(
            perceiver, split, resamples=args.resamples, tick=lambda done, _: bar.update(1)
        )
    is_run = args.run.is_dir()
    recorded = args.run / 'config.yaml'
    text = render_page(
        perceiver.info,
        found,
        history=History.read(args.run) if is_run else None,
        config=read_yaml(recorded) if is_run and recorded.is_file() else perceiver.info.metadata,
        data=f'{args.dataset.name} {args.split}',
        command=shlex.join(['python', '-m', 'training', *sys.argv[1:]]),
    )
    output.write_text(text, encoding='utf-8')
    print(f'{output}: mAP50 {found.metrics.mAP50:.3f} over {len(split.images)} images')
    return 0


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
