"""What is trained: a network with its losses, as one module that Fabric can wrap."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NamedTuple, Protocol, TYPE_CHECKING

import torch
from torch import nn, Tensor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from training.datasets import DataFolder
    from training.multitask import Aligner
    from training.samples import Batch


class Samples(Protocol):
    """What a run is trained on; a sample is a function of (seed, epoch, position)."""

    @property
    def per_epoch(self) -> int:
        """Number of samples of an epoch."""

    def order(self, epoch: int) -> list[tuple[int, int]]:
        """Return the (folder, image) pairs of an epoch, shuffled."""

    def batch(self, pairs: Sequence[tuple[int, int]], *, epoch: int, first: int) -> Any:
        """Return the batch whose first sample has position `first` in the epoch."""


class Sealed:
    """A batch that Fabric hands on untouched; it would round target boxes to half precision."""

    def __init__(self, batch: Batch, num_boxes: float | None = None) -> None:
        """Keep the batch, and the normaliser of the box losses if it is not the batch's own."""
        self.batch, self.num_boxes = batch, num_boxes


class Terms(NamedTuple):
    """What one micro-batch gave.

    Attributes:
        losses: weighted terms by name, scalars; their sum is the loss. Where several tasks share
            parameters, a name is `TASK/TERM`.
        seen: other scalars worth a line in the log, without gradients.
    """

    losses: dict[str, Tensor]
    seen: dict[str, Tensor]


class Recipe(NamedTuple):
    """Learning rates that a system was published with.

    Attributes:
        groups: gives the parameters of its network in groups for AdamW, each with `base_lr`.
        factor: gives the factor on all rates in an epoch counted from 0.
    """

    groups: Callable[[Any], list[dict[str, Any]]]
    factor: Callable[[int], float]


class Task(nn.Module, ABC):
    """A network with its losses: batch in, loss terms out.

    Attributes:
        model: the network, trained in place.
        shares: names of the tasks that share parameters, none where there is only one.
        aligner: says when, and how, their gradients are combined; None where there is one task.
        recipe: its published learning rates; None where only the common ones are known.
        epoch: the trainer's, counted from 0.
    """

    shares: tuple[str, ...] = ()
    aligner: Aligner | None = None
    recipe: Recipe | None = None
    epoch: int = 0

    def __init__(self, model: nn.Module) -> None:
        """Keep the network."""
        super().__init__()
        self.model = model

    @abstractmethod
    def forward(self, sealed: Sealed) -> Terms:
        """Return the loss terms of a batch."""

    def look_at(self, folders: Sequence[DataFolder]) -> None:
        """Take from the training set what the losses need to know of it, before training."""

    def shared_parameters(self) -> Iterable[nn.Parameter]:
        """Return the trainable parameters that several tasks share."""
        return ()

    def by_task(self, losses: Mapping[str, Tensor]) -> list[Tensor]:
        """Return the loss of each of `shares`."""
        return [
            torch.stack([v for name, v in losses.items() if name.startswith(f'{task}/')]).sum()
            for task in self.shares
        ]

    def watched(self) -> dict[str, float]:
        """Return what else of the network is worth a line in the log, after the backward pass."""
        return {}
