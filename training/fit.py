"""`python -m training fit`: build everything a run needs from its YAML file, and train.

The same command works on one CPU, on one or several GPUs (`--devices`), and under `torchrun` on
many machines.
"""

from __future__ import annotations

from pathlib import Path
import subprocess
from typing import Any, TYPE_CHECKING

import numpy as np
import torch

from thermal_perception.config import from_mapping, read_yaml, to_mapping
from thermal_perception.errors import ConfigError
from thermal_perception.evaluation import CocoScorer
from thermal_perception.evaluation.image_fusion import brightness, FusionScorer
from thermal_perception.evaluation.segmentation import SegmentationScorer
from thermal_perception.models.build import make_model
from thermal_perception.models.checkpoint import Checkpoint
from thermal_perception.models.layers import channels_last
from thermal_perception.models.record import CheckpointInfo
from thermal_perception.perceive import Perceiver
from thermal_perception.preprocess import Preprocess, PreprocessConfig
from thermal_perception.resources import share_path
from training.config import training_config
from training.datasets import DataFolder, report_problems
from training.emiff import data as cooperative
from training.engine import Trainer
from training.hardware import launched, make_fabric
from training.samples import TrainingSamples
from training.start import load_imagenet_backbone, take_weights
from training.systems import SYSTEMS

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from lightning_fabric import Fabric
    from torch import Tensor

    from training.config import TrainingConfig
    from training.datasets import DatasetConfig
    from training.engine import Outcome
    from training.task import Task

_SENTENCES: dict[Outcome, str] = {
    'finished': 'done after {done.epoch} epochs; the weights are in {run}',
    'early': 'stopped after {done.epoch} epochs without a better one; the best is in {run}',
    'stopped': 'stopped in epoch {done.epoch} after {done.step} steps; --resume goes on in {run}',
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the verb."""
    parser.add_argument('--config', type=Path, required=True, help='YAML file of the experiment')
    parser.add_argument('--output', type=Path, required=True, help='folder of the run')
    parser.add_argument('--resume', action='store_true', help='continue where the run stopped')
    parser.add_argument('--init', type=Path, help='checkpoint to take all weights from that fit')
    parser.add_argument('--device', default='cpu', help='cpu, cuda, or auto: the GPU if any')
    parser.add_argument(
        '--devices', type=int, default=0, help='processes of this machine, one per GPU'
    )
    parser.add_argument('--nodes', type=int, default=0, help='machines')
    parser.add_argument(
        '--data', type=Path, default=Path(), help='folder that relative data sets are in'
    )
    parser.add_argument(
        '--cache', type=Path, help='folder of decoded images, OUTPUT/cache if unset'
    )
    parser.add_argument(
        '--set', action='append', default=[], metavar='KEY=VALUE', help='override one value'
    )


def run(args: argparse.Namespace) -> int:
    """Train; returns the exit code, 130 for a run that was asked to stop."""
    config = training_config(args.config, args.set)
    fabric = make_fabric(
        args.device, precision=config.precision, devices=args.devices, nodes=args.nodes
    )
    with launched(fabric):
        return _train(config, args, fabric)


def _train(config: TrainingConfig, args: argparse.Namespace, fabric: Fabric) -> int:
    if config.threads:  # after the launch, which divides the cores itself
        torch.set_num_threads(config.threads)
    trainer = make_trainer(config, model_info(config), args, fabric)
    if args.resume:
        if not trainer.resume():
            raise ConfigError(f'--resume: {args.output} holds no last.pt')
    elif trainer.folder.state_file.exists():
        raise ConfigError(f'--output: {args.output} holds a run; use --resume or a new folder')
    outcome = trainer.fit()
    if fabric.is_global_zero:
        print(_SENTENCES[outcome].format(run=args.output, done=trainer.progress))
    return 130 if outcome == 'stopped' else 0


def model_info(config: TrainingConfig) -> CheckpointInfo:
    """Return the record of the model to be trained, from `config/models/NAME.yaml`."""
    path = share_path('config', 'models', f'{config.model}.yaml')
    values = read_yaml(path)
    values['config'] |= config.model_options
    values['class_names'] = values['config']['class_names']
    values['training'] = {'config': to_mapping(config), 'torch': torch.__version__}
    values['source_commit'] = _commit()
    return from_mapping(CheckpointInfo, values, where=str(path))


def make_trainer(
    config: TrainingConfig, info: CheckpointInfo, args: argparse.Namespace, fabric: Fabric
) -> Trainer:
    """Build model, data and trainer."""
    torch.manual_seed(config.seed)
    model = make_model(info.architecture, info.config, where=config.model)
    if config.backbone_weights != 'none':
        load_imagenet_backbone(model)
    if args.init:
        sentence = take_weights(model, args.init)
        if fabric.is_global_zero:
            print(sentence)
    model = channels_last(model)
    task = SYSTEMS[info.architecture].make_task(model, info, config)
    if not SYSTEMS[info.architecture].pictures:
        return _cooperative_trainer(config, info, args, fabric, task)
    return _image_trainer(config, info, args, fabric, task)


def _image_trainer(
    config: TrainingConfig,
    info: CheckpointInfo,
    args: argparse.Namespace,
    fabric: Fabric,
    task: Task,
) -> Trainer:
    device = str(fabric.device)
    preprocess = Preprocess(from_mapping(PreprocessConfig, info.preprocess, where=config.model))
    cache = args.cache or args.output / 'cache'
    system = SYSTEMS[info.architecture]

    def folder(data: DatasetConfig) -> DataFolder:
        made = DataFolder(data, info.class_names, args.data, cache, pictures=system.pictures)
        _check_masks(made, info)
        return made

    with fabric.rank_zero_first():  # it fills the cache
        folders, dev = [folder(d) for d in config.train], [folder(d) for d in config.dev]
    if dev and not (dev[0].labelled or 'mask' in system.pictures):
        raise ConfigError(
            f'dev: found {config.dev[0].directory} first, which has no boxes; expected a data set '
            'to choose weights by'
        )
    if fabric.is_global_zero:
        report_problems((*folders, *dev), args.output / 'log.jsonl')
    samples = TrainingSamples(folders, config.augment, preprocess, seed=config.seed)
    task.look_at(folders)
    return Trainer(
        task,
        samples,
        config,
        info,
        args.output,
        fabric=fabric,
        evaluate=(lambda state: evaluate(state, dev, info, device)) if dev else None,
        metric=system.metric,
    )


def _cooperative_trainer(
    config: TrainingConfig,
    info: CheckpointInfo,
    args: argparse.Namespace,
    fabric: Fabric,
    task: Task,
) -> Trainer:
    device, dev = str(fabric.device), cooperative.dev_frames(config, args.data)
    return Trainer(
        task,
        cooperative.training_samples(config, info, args.data),
        config,
        info,
        args.output,
        fabric=fabric,
        evaluate=(lambda state: cooperative.evaluate(state, dev, info, device)) if dev else None,
        metric=SYSTEMS[info.architecture].metric,
    )


def _check_masks(folder: DataFolder, info: CheckpointInfo) -> None:
    if 'mask' in folder.pictures and folder.mask_names != info.class_names:
        raise ConfigError(
            f'{folder.config.directory}: found label images of {", ".join(folder.mask_names)}; '
            f'expected those of the model, {", ".join(info.class_names)}'
        )


def evaluate(
    state: Mapping[str, Tensor], folders: Sequence[DataFolder], info: CheckpointInfo, device: str
) -> dict[str, Any]:
    """Score weights on whole images, through the same code as on the robot.

    Returns:
        The metrics of the first folder; those of the others under `others`.
    """
    perceiver = Perceiver(Checkpoint(info, dict(state), 'training', Path('memory')), device=device)
    results = [_score(perceiver, folder) for folder in folders]
    return {**results[0], 'others': results[1:]}


def _score(perceiver: Perceiver, folder: DataFolder) -> dict[str, Any]:
    if 'mask' in folder.pictures:
        return _score_labels(perceiver, folder)
    return _score_boxes(perceiver, folder) if folder.labelled else _score_fusion(perceiver, folder)


def _score_labels(perceiver: Perceiver, folder: DataFolder) -> dict[str, Any]:
    scorer = SegmentationScorer(perceiver.info.class_names)
    for index, record in enumerate(folder.records):
        mask = perceiver(folder.frames(index), wanted={'segmentation'}).segmentation
        assert mask is not None  # only models that give one are trained with label images
        scorer.add(record.name, mask.labels, folder.mask(index))
    return scorer.score().to_json()


def _score_boxes(perceiver: Perceiver, folder: DataFolder) -> dict[str, Any]:
    scorer = CocoScorer(folder.truth(), perceiver.info.class_names)
    for index, record in enumerate(folder.records):
        found = perceiver(folder.frames(index), wanted={'detections'})
        scorer.add(record.image_id, found.detections)
    return scorer.score().to_json()


def _score_fusion(perceiver: Perceiver, folder: DataFolder) -> dict[str, Any]:
    scorer = FusionScorer()
    for index, record in enumerate(folder.records):
        frames = folder.frames(index)
        fused = perceiver(frames, wanted={'fused_grey'}).fused
        if fused is None or frames.thermal is None or frames.rgb is None:
            raise ConfigError(
                f'dev: {folder.config.directory} has no boxes, and {perceiver.info.model} makes '
                'no fused image'
            )
        visible = brightness(np.asarray(frames.rgb.image, np.uint8))
        scorer.add(record.name, fused.image, thermal=frames.thermal.image, visible=visible)
    return scorer.score().to_json()


def _commit() -> str:
    try:
        done = subprocess.run(
            ['git', 'describe', '--always', '--dirty', '--abbrev=12'],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return 'unknown'
    return done.stdout.strip()
