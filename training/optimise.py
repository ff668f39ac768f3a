"""Optimiser, schedule and averaged weights."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from thermal_perception.errors import ConfigError

if TYPE_CHECKING:
    from torch import nn

    from training.config import Averaging, OptimiserConfig
    from training.task import Recipe


class AveragedWeights:
    """Exponential moving average of a model's state, in one of two ways.

    `rising`: all floating-point state, with a decay that rises from 0.1 as (1 + step) /
    (10 + step), so that early averages forget fast. `constant`: trained parameters alone, with
    one decay; all else, such as the statistics of batch norms, is that of the live model.
    """

    def __init__(self, model: nn.Module, decay: float, kind: Averaging = 'rising') -> None:
        """Start at the current weights."""
        self.decay, self.kind = decay, kind
        self.steps = 0
        self.state = {k: v.detach().clone() for k, v in model.state_dict().items()}
        trained = {name for name, value in model.named_parameters() if value.requires_grad}
        floating = {name for name, value in self.state.items() if value.is_floating_point()}
        self._averaged = trained if kind == 'constant' else floating

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move towards the current weights."""
        self.steps += 1
        rising = (1 + self.steps) / (10 + self.steps)
        decay = self.decay if self.kind == 'constant' else min(self.decay, rising)
        for name, value in model.state_dict().items():
            if name in self._averaged:
                self.state[name].lerp_(value, 1 - decay)
            else:
                self.state[name].copy_(value)


def learning_rate_factor(step: int, total: int, config: OptimiserConfig) -> float:
    """Return the factor on the base learning rates at a step of `total`."""
    if step < config.warmup_steps:
        return (step + 1) / config.warmup_steps
    if config.schedule == 'step':
        return 1.0 if step < config.drop_at * total else 0.1
    done = (step - config.warmup_steps) / max(1, total - config.warmup_steps)
    cosine = 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
    return config.final_factor + (1 - config.final_factor) * cosine


def step_factor(
    step: int, steps_per_epoch: int, epochs: int, config: OptimiserConfig, recipe: Recipe | None
) -> float:
    """Return the factor on the base learning rates, of the system's own recipe if asked for."""
    if config.recipe == 'own':
        return _checked(recipe).factor(step // steps_per_epoch)
    return learning_rate_factor(step, epochs * steps_per_epoch, config)


def make_optimiser(
    model: nn.Module, config: OptimiserConfig, recipe: Recipe | None = None
) -> torch.optim.AdamW:
    """Return AdamW, with the backbone's own rate, and decay where it belongs.

    Raises:
        ConfigError: if `config` asks for the system's own recipe and there is none.
    """
    if config.recipe == 'own':
        return torch.optim.AdamW(_checked(recipe).groups(model))
    groups = [
        {
            'params': parameters,
            'lr': config.backbone_lr if name.startswith('backbone') else config.lr,
            'weight_decay': (
                config.weight_decay if config.decay_all or not name.endswith('_no_decay') else 0.0
            ),
        }
        for name, parameters in trainable_groups(model).items()
    ]
    for group in groups:
        group['base_lr'] = group['lr']
    return torch.optim.AdamW(groups)


def trainable_groups(model: nn.Module) -> dict[str, list[nn.Parameter]]:
    """Split the trainable parameters into `backbone` and `rest`, each with `*_no_decay`.

    Vectors are not decayed, nor what the model lists by the ends of its names in `undecayed`.
    """
    undecayed: tuple[str, ...] = getattr(model, 'undecayed', ())
    groups: dict[str, list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            part = 'backbone' if '.backbone.' in f'.{name}' else 'rest'
            plain = parameter.dim() < 2 or name.endswith(undecayed)
            groups.setdefault(part + ('_no_decay' if plain else ''), []).append(parameter)
    return groups


def set_learning_rates(optimiser: torch.optim.Optimizer, factor: float) -> None:
    """Set every group to its base rate times `factor`."""
    for group in optimiser.param_groups:
        group['lr'] = group['base_lr'] * factor


def _checked(recipe: Recipe | None) -> Recipe:
    if recipe is None:
        raise ConfigError('optimiser.recipe: found own, but this system has no recipe of its own')
    return recipe
