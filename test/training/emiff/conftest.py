"""A small set of simulated crossings, and a network small enough to be trained on it."""

from __future__ import annotations

import pytest
from tiny import emiff, small_backbones
import torch

from thermal_perception.models.build import make_model
from thermal_perception.models.record import CheckpointInfo
from training.simulate_v2x import simulate, V2xOptions

SETTINGS = emiff(
    grid={'low_m': [0, -24, -3.08], 'high_m': [48, 24, 0.76], 'counts': [24, 24, 12]},
    freeze_early=False,
    train_norm=True,
)


@pytest.fixture(scope='session')
def v2x(tmp_path_factory):
    """Return a folder with splits `train` (4 frames) and `dev` (2), one earlier image each."""
    path = tmp_path_factory.mktemp('v2x')
    for split, scenes in (('train', 2), ('dev', 1)):
        simulate(
            V2xOptions(
                path, split, 'day', scenes, frames_per_scene=2, delays=1, seed=3, size=(135, 240)
            )
        )
    return path


@pytest.fixture(scope='session')
def tiny_emiff():
    """Return a function that makes a network and its record."""

    def make():
        torch.manual_seed(0)
        with small_backbones():
            model = make_model('emiff', SETTINGS, where='test')
        preprocess = {'resize_to': [64, 112], 'pad_multiple': 32}
        return model, CheckpointInfo(
            'tiny', 'emiff', SETTINGS, preprocess, ('car',), score_threshold=0.05
        )

    return make
