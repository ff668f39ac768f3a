"""A network with random weights, as fast as a trained one."""

from __future__ import annotations

from pathlib import Path

import torch

from thermal_perception.config import from_mapping, read_yaml
from thermal_perception.models.build import make_model
from thermal_perception.models.checkpoint import Checkpoint, CheckpointInfo
from thermal_perception.resources import share_path


def random_checkpoint(name: str) -> Checkpoint:
    """Return a model of `config/models` with random weights, which finds as much as it may."""
    values = read_yaml(share_path('config', 'models', f'{name}.yaml'))
    values |= {'class_names': values['config']['class_names'], 'score_threshold': 0.0}
    info = from_mapping(CheckpointInfo, values, where=name)
    torch.manual_seed(0)
    model = make_model(info.architecture, info.config, where=name)
    return Checkpoint(info, model.state_dict(), 'random', Path('memory'))
