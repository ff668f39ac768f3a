"""Train a few steps as one of several processes: `averaging_run.py DATA OUTPUT ACCUMULATE`.

Run by test_distributed.py, which reads the log and the weights of rank 0.
"""

from __future__ import annotations

from pathlib import Path
import sys
from typing import TYPE_CHECKING

from tiny import small_backbones
import torch

from thermal_perception.models.build import make_model
from thermal_perception.models.record import CheckpointInfo
from thermal_perception.preprocess import Preprocess, PreprocessConfig
from training.augment import AugmentConfig
from training.config import OptimiserConfig, TrainingConfig
from training.datasets import DataFolder, DatasetConfig
from training.engine import Trainer
from training.fusion_detr.task import FusionDetrTask
from training.hardware import launched, make_fabric
from training.samples import TrainingSamples

if TYPE_CHECKING:
    from lightning_fabric import Fabric

CLASSES = ('person', 'car')
MODEL = {
    'class_names': list(CLASSES),
    'backbone': 'efficientnet_lite0',
    'd_model': 32,
    'num_heads': 4,
    'ffn_dim': 32,
    'encoder_layers': 1,
    'decoder_layers': 1,
    'num_queries': 5,
    'dropout': 0.0,
}


def main(data: Path, output: Path, accumulate: int) -> None:
    torch.set_num_threads(1)
    with launched(make_fabric('cpu')) as fabric:
        train(data, output, accumulate, fabric)
    assert not torch.distributed.is_initialized()


def train(data: Path, output: Path, accumulate: int, fabric: Fabric) -> None:
    torch.manual_seed(0)
    with small_backbones():
        model = make_model('fusion_detr', MODEL, where='test')
    with fabric.rank_zero_first():
        folder = DataFolder(DatasetConfig(str(data)), CLASSES, cache=output.parent / 'cache')
    samples = TrainingSamples(
        [folder], AugmentConfig(crop_size=(64, 64)), Preprocess(PreprocessConfig()), seed=0
    )
    optimiser = OptimiserConfig(lr=1e-3, warmup_steps=0, accumulate=accumulate)
    config = TrainingConfig(
        'tiny', (DatasetConfig(str(data)),), (), epochs=2, batch=1, optimiser=optimiser
    )
    info = CheckpointInfo('tiny', 'fusion_detr', MODEL, {}, CLASSES)
    task = FusionDetrTask.make(model, info, config)
    Trainer(task, samples, config, info, output, fabric=fabric).fit()


if __name__ == '__main__':
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
