"""Learning rates of RGB-T segmentation as published, with what the released code meant to do."""

from __future__ import annotations

from typing import Any, TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

    from thermal_perception.models.rgbt_segmentation.network import RgbtSegmentation

LAYER_DECAY = 0.9
_STAGES = 4
_RATES = {'rgb': 3e-5, 'thermal': 3.33e-5, 'fusion': 3e-4, 'decoder': 3e-4}
_DECAYS = {'rgb': 0.05, 'thermal': 0.03, 'fusion': 0.01, 'decoder': 0.005}
_WARM_UP, _HOLD, _HALF_LIFE = 10, 20, 15  # epochs


def learning_rate_factor(epoch: int) -> float:
    """Return the factor on all base rates in an epoch counted from 0.

    It rises from 1/10 (the released code wastes its first epoch at 0), holds, then halves every
    15 epochs.
    """
    if epoch < _WARM_UP:
        return (epoch + 1) / _WARM_UP
    return float(0.5 ** (max(epoch - _HOLD, 0) / _HALF_LIFE))


def parameter_groups(model: RgbtSegmentation) -> list[dict[str, Any]]:
    """Return the trainable parameters as groups for AdamW.

    Every group has `name`, `params`, `lr`, `base_lr` and `weight_decay`. The rates of both
    encoders fall by `LAYER_DECAY` per stage towards the stem. Norms, biases, response norms and
    scalars are not decayed.
    """
    groups: dict[str, dict[str, Any]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            group = _group(name, parameter)
            groups.setdefault(group['name'], group)['params'].append(parameter)
    return list(groups.values())


def _group(name: str, parameter: nn.Parameter) -> dict[str, Any]:
    """Return an empty group for a parameter."""
    part = name.split('.')[0]
    depth = ''
    if part == 'backbone':
        part, layer = name.split('.')[1:3]
        stage = int(name.split('.')[3]) + 1 if layer == 'stages' else 0
        depth = f'.{stage}'
        rate = _RATES[part] * LAYER_DECAY ** (_STAGES + 1 - stage)
    else:
        rate = _RATES[part]
    plain = parameter.dim() < 2
    return {
        'name': part + depth + ('.no_decay' if plain else ''),
        'params': [],
        'lr': rate,
        'base_lr': rate,
        'weight_decay': 0.0 if plain else _DECAYS[part],
    }
