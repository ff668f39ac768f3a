"""Train a few steps as one of several processes: `aligning_run.py OUTPUT ACCUMULATE`."""

from __future__ import annotations

from pathlib import Path
import sys
from typing import TYPE_CHECKING

import numpy as np
from tiny import e2e_mfd, small_backbones
import torch

from thermal_perception.models.build import make_model
from thermal_perception.models.e2e_mfd.diffusion import noised_proposals
from thermal_perception.models.record import CheckpointInfo
from thermal_perception.preprocess import PreprocessConfig
from training.config import OptimiserConfig, TrainingConfig
from training.datasets import DatasetConfig
from training.e2e_mfd import task as joint
from training.engine import Trainer
from training.hardware import launched, make_fabric
from training.samples import collate, Sample

if TYPE_CHECKING:
    from lightning_fabric import Fabric

CLASSES = ('person', 'car')


class TwoSamples:
    """Two pairs, each twice an epoch."""

    per_epoch = 4

    def order(self, epoch):
        return [(0, 0), (0, 1), (0, 0), (0, 1)]

    def batch(self, pairs, *, epoch, first):
        return collate([draw(n) for _, n in pairs], PreprocessConfig(pad_multiple=32))


def draw(seed):
    rng = np.random.default_rng(seed)
    thermal = rng.uniform(0.1, 0.3, (64, 64)).astype(np.float32)
    thermal[10 : 30 + 4 * seed, 8:40] = 0.9
    rgb = rng.uniform(0.2, 0.5, (64, 64, 3)).astype(np.float32)
    boxes = np.array([[8, 10, 40, 30 + 4 * seed]], np.float32)
    return Sample(thermal, boxes, np.array([seed]), rgb)


def same_noise(boxes, config, schedule):
    """Give every image the same noise, whichever process it is in."""
    return noised_proposals(boxes, config, schedule, torch.Generator().manual_seed(0))


def main(output: Path, accumulate: int) -> None:
    torch.set_num_threads(1)
    with launched(make_fabric('cpu')) as fabric:
        train(output, accumulate, fabric)
    assert not torch.distributed.is_initialized()


def train(output: Path, accumulate: int, fabric: Fabric) -> None:
    joint.noised_proposals = same_noise
    torch.manual_seed(0)
    settings = e2e_mfd(CLASSES)
    optimiser = OptimiserConfig(
        lr=1e-3, backbone_lr=1e-3, warmup_steps=0, accumulate=accumulate, clip_norm=1.0
    )
    config = TrainingConfig(
        'tiny', (DatasetConfig('set'),), (), epochs=2, batch=1, optimiser=optimiser,
        loss={'multitask': {'every': 2}},
    )  # fmt: skip
    info = CheckpointInfo('tiny', 'e2e_mfd', settings, {}, CLASSES)
    with small_backbones():
        model = make_model('e2e_mfd', settings, where='test')
    task = joint.E2eMfdTask.make(model, info, config)
    Trainer(task, TwoSamples(), config, info, output, fabric=fabric).fit()


if __name__ == '__main__':
    main(Path(sys.argv[1]), int(sys.argv[2]))
