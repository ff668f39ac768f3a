"""One gradient on shared parameters out of those of several tasks, and what was measured of it.

The steps of one training step, with `Aligner` for what has to be remembered:

    per_task = split_backward([fusion_loss, detection_loss], shared, own)  # of every micro-batch
    per_task = [reduced(g, shared, all_reduce) for g in per_task]  # of several processes
    combined, alignment = align(per_task, config, step=step)
    write_gradients(shared, combined)

Gradients are lists of tensors, one per parameter, None where a task does not reach it; a flat
vector is a list of one. Scaling all of them by the same number (a loss scaler, the number of
micro-batches) scales what comes out and changes no coefficient.

Source: Zhang et al., E2E-MFD, arXiv 2403.09323, section 3.4 (GMTA).
"""

from __future__ import annotations

from dataclasses import dataclass
import math
from typing import Any, Literal, TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from thermal_perception.errors import ConfigError
from training.mixing import (
    aligned,
    bargained,
    condition_number,
    conflict_averse,
    length,
    projected,
    ScaleMode,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Gradients = Sequence[Tensor | None]

Method = Literal['sum', 'gmta', 'aligned_mtl', 'pcgrad', 'cagrad', 'nash_mtl']

_EVERY = {'sum': 1000, 'gmta': 1000}


@dataclass(frozen=True)
class MultitaskConfig:
    """How tasks share parameters.

    Attributes:
        method: `sum` adds gradients and only measures; `gmta` aligns them now and then, which is
            E2E-MFD; `aligned_mtl` does so at each step; `pcgrad`, `cagrad` and `nash_mtl` are
            what the paper compares with.
        every: steps from one use of the method to the next, in between gradients are added; 0
            takes the method's own: 1000 for `sum` and `gmta`, 1 for the others.
        scale_mode: length of aligned gradients: the smallest singular value (`min`), the
            `median`, or the root of the mean square (`rmse`).
        conflict: of `cagrad`, how far the mean gradient may move, relative to its length.
        seed: of `pcgrad`, for the order of projections; the same in all processes.
    """

    method: Method = 'gmta'
    every: int = 0
    scale_mode: ScaleMode = 'min'
    conflict: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if self.every < 0:
            raise ConfigError(f'every: found {self.every}, expected at least 0')
        if not 0 <= self.conflict < 1:
            raise ConfigError(f'conflict: found {self.conflict}, expected at least 0, below 1')

    @property
    def interval(self) -> int:
        """Steps from one use of the method to the next."""
        return self.every or _EVERY.get(self.method, 1)


@dataclass(frozen=True)
class Alignment:
    """What was measured when gradients were combined.

    Attributes:
        norms: length of each task's gradient, as it was handed in.
        cosine: of the angle between two gradients, the least of all pairs; NaN if one is zero.
        condition_before: condition number of the gradients: 1 where they are orthogonal and
            equally long, infinite where they are parallel.
        condition_after: the same of the changed gradients.
        coefficients: by what each task's gradient is multiplied (k_u and k_d of the paper).
        norm: length of the combined gradient.
        skipped: whether gradients were not finite, so that they were just added.
    """

    norms: tuple[float, ...]
    cosine: float
    condition_before: float
    condition_after: float
    coefficients: tuple[float, ...]
    norm: float
    skipped: bool

    def to_json(self, tasks: Sequence[str]) -> dict[str, Any]:
        """Return plain numbers by name, None where they are not finite; tasks are named."""
        values = {
            **{f'norm_{task}': norm for task, norm in zip(tasks, self.norms, strict=True)},
            **{f'k_{task}': k for task, k in zip(tasks, self.coefficients, strict=True)},
            'cosine': self.cosine,
            'condition_before': self.condition_before,
            'condition_after': self.condition_after,
            'combined_norm': self.norm,
        }
        finite = {name: v if math.isfinite(v) else None for name, v in values.items()}
        return {**finite, 'skipped': self.skipped}


class Aligner:
    """Combines gradients when it is time to, and counts.

    Attributes:
        config: see `MultitaskConfig`.
        combined: how often it did.
        skipped: how often gradients were not finite and were only added.
    """

    def __init__(self, config: MultitaskConfig) -> None:
        """Start with nothing done."""
        self.config = config
        self.combined = self.skipped = 0

    def is_due(self, step: int) -> bool:
        """Whether step number `step` of the run, from 0, needs the gradients of each task."""
        return is_due(step, self.config.interval)

    def __call__(
        self, per_task: Sequence[Gradients], step: int
    ) -> tuple[list[Tensor | None], Alignment]:
        """Combine; see `align`."""
        gradients, alignment = align(per_task, self.config, step=step)
        self.combined += not alignment.skipped
        self.skipped += alignment.skipped
        return gradients, alignment


def is_due(step: int, every: int) -> bool:
    """Whether step number `step`, from 0, is an aligned one: every, 2 every, ..., never 0."""
    return step >= every and step % every == 0


def align(
    per_task: Sequence[Gradients], config: MultitaskConfig, *, step: int = 0
) -> tuple[list[Tensor | None], Alignment]:
    """Combine the gradients of several tasks on the parameters they share.

    Args:
        per_task: for each of T tasks its gradients, the same parameters in the same order.
        config: method and its options.
        step: of the run, on which the random order of `pcgrad` hangs.

    Returns:
        The combined gradients in the type of the given ones, None where no task has any; and what
        was measured.
    """
    gram = gram_matrix(per_task)
    skipped = not np.isfinite(gram).all()
    mixing = np.eye(len(gram)) if skipped else mix(gram, config, step)
    coefficients = mixing.sum(1)
    measured = _measure(gram, mixing) if not skipped else _unmeasured(gram)
    return combine(per_task, coefficients.tolist()), measured


def mix(gram: NDArray[np.float64], config: MultitaskConfig, step: int = 0) -> NDArray[np.float64]:
    """Return the mixing (T, T) of a method; see `training.mixing`."""
    if config.method in ('gmta', 'aligned_mtl'):
        return aligned(gram, config.scale_mode)
    if config.method == 'pcgrad':
        return projected(gram, np.random.default_rng((config.seed, step)))
    if config.method == 'cagrad':
        return conflict_averse(gram, config.conflict)
    if config.method == 'nash_mtl':
        return bargained(gram)
    return np.eye(len(gram))


def gram_matrix(per_task: Sequence[Gradients]) -> NDArray[np.float64]:
    """Return (T, T) float64 inner products of the tasks' gradients, accumulated in float64."""
    products = {
        (i, j): sum(
            (_dot(a, b) for a, b in zip(per_task[i], per_task[j], strict=True)),
            torch.zeros((), dtype=torch.float64),
        )
        for i in range(len(per_task))
        for j in range(i, len(per_task))
    }
    gram = np.zeros((len(per_task),) * 2)
    for (i, j), product in products.items():
        gram[i, j] = gram[j, i] = float(product)
    return gram


def combine(per_task: Sequence[Gradients], coefficients: Sequence[float]) -> list[Tensor | None]:
    """Return the sum of the tasks' gradients, each multiplied by its coefficient."""
    return [_weighted(parts, coefficients) for parts in zip(*per_task, strict=True)]


def split_backward(
    losses: Sequence[Tensor], shared: Sequence[Tensor], own: Sequence[Tensor]
) -> list[list[Tensor | None]]:
    """Backpropagate each task by itself.

    Parameters of one task get in `.grad` what a backward pass of the sum of losses would add.
    Under DDP no gradient is averaged here, and the forward pass must be one without
    synchronisation; average what this returns by `reduced` before it is aligned.

    Args:
        losses: scalar of each of T tasks.
        shared: parameters that tasks share; their `.grad` stays as it is.
        own: all other parameters.

    Returns:
        T lists of gradients on the shared parameters, None where a task does not reach one.
    """
    per_task: list[list[Tensor | None]] = []
    for place, loss in enumerate(losses, start=1):
        found = torch.autograd.grad(
            loss, [*shared, *own], retain_graph=place < len(losses), allow_unused=True
        )
        per_task.append(list(found[: len(shared)]))
        write_gradients(own, added([p.grad for p in own], found[len(shared) :]))
    return per_task


def added(first: Gradients, second: Gradients) -> list[Tensor | None]:
    """Return the sum of two lists of gradients, as over micro-batches."""
    return combine((first, second), (1.0, 1.0))


def reduced(
    gradients: Gradients, parameters: Sequence[Tensor], reduce: Callable[[Tensor], Tensor]
) -> list[Tensor | None]:
    """Apply a reduction over processes to each gradient; zero stands for those that lack.

    All processes then take part in each reduction, whatever their losses reached.
    """
    return [reduce(torch.zeros_like(p) if g is None else g) for g, p in zip(gradients, parameters)]


def write_gradients(parameters: Sequence[Tensor], gradients: Gradients) -> None:
    """Make gradients those of the parameters, whether or not these had any before."""
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient


def _measure(gram: NDArray[np.float64], mixing: NDArray[np.float64]) -> Alignment:
    norms, coefficients = np.sqrt(gram.diagonal()), mixing.sum(1)
    return Alignment(
        norms=tuple(norms.tolist()),
        cosine=_least_cosine(gram),
        condition_before=condition_number(gram),
        condition_after=condition_number(mixing.T @ gram @ mixing),
        coefficients=tuple(coefficients.tolist()),
        norm=length(gram, coefficients),
        skipped=False,
    )


def _unmeasured(gram: NDArray[np.float64]) -> Alignment:
    """Return the record of gradients that were only added."""
    nan, ones = float('nan'), (1.0,) * len(gram)
    norms = tuple(math.sqrt(square) for square in gram.diagonal().tolist())
    return Alignment(norms, nan, nan, nan, ones, nan, skipped=True)


def _least_cosine(gram: NDArray[np.float64]) -> float:
    norms = np.sqrt(gram.diagonal())
    if len(gram) < 2 or not norms.all():
        return float('nan')
    pairs = np.triu_indices(len(gram), 1)
    return float((gram / np.outer(norms, norms))[pairs].min().clip(-1, 1))


def _dot(a: Tensor | None, b: Tensor | None) -> Tensor:
    if a is None or b is None:
        return torch.zeros((), dtype=torch.float64)
    return torch.dot(a.detach().flatten().double(), b.detach().flatten().double())


def _weighted(parts: Sequence[Tensor | None], coefficients: Sequence[float]) -> Tensor | None:
    """Return a weighted sum, made in float64: nearly parallel gradients almost cancel."""
    known = [(part, k) for part, k in zip(parts, coefficients, strict=True) if part is not None]
    if not known:
        return None
    total = sum((k * part.double() for part, k in known[1:]), known[0][1] * known[0][0].double())
    return total.to(known[0][0].dtype)
