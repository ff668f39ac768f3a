"""One training run on several processes, started by `torchrun`; one process needs nothing."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
import os
from typing import TYPE_CHECKING

import torch
import torch.distributed as dist

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import nn


@dataclass(frozen=True)
class Processes:
    """This process among all of the run.

    Attributes:
        rank: 0..size-1; 0 evaluates, logs and saves.
        size: number of processes.
    """

    rank: int = 0
    size: int = 1

    @classmethod
    def join(cls, device: str) -> Processes:
        """Join the run that `torchrun` describes in the environment, or be alone."""
        size = int(os.environ.get('WORLD_SIZE', '1'))
        if size == 1:
            return cls()
        if not dist.is_initialized():
            dist.init_process_group('nccl' if device.startswith('cuda') else 'gloo')
        return cls(dist.get_rank(), size)

    @property
    def leads(self) -> bool:
        """Whether this process writes the run's files."""
        return self.rank == 0

    @contextmanager
    def leader_first(self) -> Iterator[None]:
        """Let rank 0 pass through the block before the others enter it."""
        if self.size > 1 and not self.leads:
            dist.barrier()
        yield
        if self.size > 1 and self.leads:
            dist.barrier()

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.size > 1:
            dist.barrier()

    def mean(self, value: float) -> float:
        """Return the mean of a number over the processes."""
        if self.size == 1:
            return value
        total = torch.tensor(value, dtype=torch.float64)
        dist.all_reduce(total)
        return float(total) / self.size

    @torch.no_grad()
    def average_gradients(self, model: nn.Module) -> None:
        """Replace every gradient by its mean over the processes; a missing one counts as zero."""
        if self.size == 1:
            return
        parameters = [p for p in model.parameters() if p.requires_grad]
        for p in parameters:
            if p.grad is None:
                p.grad = torch.zeros_like(p)
        flat = torch.cat([p.grad.reshape(-1) for p in parameters])  # type: ignore[union-attr]
        dist.all_reduce(flat)
        flat /= self.size
        for p, mean in zip(parameters, flat.split([p.numel() for p in parameters])):
            p.grad.copy_(mean.view_as(p.grad))  # type: ignore[union-attr]
