"""One step's forward and backward passes: gradients out of micro-batches."""

from __future__ import annotations

from typing import Any, Literal, TYPE_CHECKING

import torch

from training.multitask import added, reduced, split_backward, write_gradients
from training.task import Sealed, Terms

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lightning_fabric import Fabric
    from torch import Tensor

    from training.multitask import Aligner
    from training.samples import Batch
    from training.task import Task


class NonFiniteLossError(FloatingPointError):
    """A loss or gradient became NaN or infinite; the run stops, the last state stays."""


class GradientPass:
    """Leaves the gradients of a step in the parameters, averaged over processes.

    Where tasks share parameters, the aligner of the task combines their gradients when it is due.
    """

    def __init__(
        self,
        task: Task,
        wrapped: Any,
        fabric: Fabric,
        normaliser: Literal['micro', 'step'],
    ) -> None:
        """Keep what is needed.

        Args:
            task: network with its losses.
            wrapped: the same as Fabric wrapped it; it averages gradients over processes.
            fabric: launched.
            normaliser: see `OptimiserConfig`.
        """
        self._task, self._wrapped, self._fabric = task, wrapped, fabric
        self._normaliser = normaliser

    def __call__(self, micro: list[Batch], total: int) -> dict[str, Any]:
        """Run forward and backward over the micro-batches of step `total`; returns mean terms.

        Raises:
            NonFiniteLossError: if a loss is.
        """
        aligner = self._task.aligner
        if aligner is not None and aligner.is_due(total):
            return self._apart(micro, total, aligner)
        sums = _Means(len(micro))
        num_boxes = self._boxes(micro)
        for place, batch in enumerate(micro, start=1):
            waits = place < len(micro)  # gradients are averaged once a step
            with self._fabric.no_backward_sync(self._wrapped, enabled=waits):
                terms, loss = self._forward(self._wrapped, batch, num_boxes, total)
                self._fabric.backward(loss / len(micro))
            sums.add({'loss': loss, **terms.losses, **terms.seen})
        return sums.values

    def _apart(self, micro: list[Batch], total: int, aligner: Aligner) -> dict[str, Any]:
        """Do the same, but let the aligner combine the gradients of tasks that share parameters.

        The network is called without its wrapper, which would average gradients on the way.
        """
        shared = list(self._task.shared_parameters())
        known = {id(p) for p in shared}
        own = [p for p in self._task.model.parameters() if p.requires_grad and id(p) not in known]
        sums = _Means(len(micro))
        num_boxes = self._boxes(micro)
        per_task: list[list[Tensor | None]] = [[None] * len(shared) for _ in self._task.shares]
        for batch in micro:
            with self._fabric.autocast():
                terms, loss = self._forward(self._task, batch, num_boxes, total)
            losses = [self._scaled(part) / len(micro) for part in self._task.by_task(terms.losses)]
            found = split_backward(losses, shared, own)
            per_task = [added(a, b) for a, b in zip(per_task, found)]
            sums.add({'loss': loss, **terms.losses, **terms.seen})
        if self._fabric.world_size > 1:
            per_task = [reduced(gradients, shared, self._mean) for gradients in per_task]
            write_gradients(own, reduced([p.grad for p in own], own, self._mean))
        gradients, alignment = aligner(per_task, total)
        write_gradients(shared, gradients)
        return {**sums.values, **alignment.to_json(self._task.shares)}

    def _forward(
        self,
        module: Any,
        batch: Batch,
        num_boxes: float | None,
        total: int,
    ) -> tuple[Terms, Tensor]:
        """Return the terms of a micro-batch and their sum, which is finite."""
        try:
            terms = Terms(*module(Sealed(batch, num_boxes)))
        except FloatingPointError as error:  # the matcher could not match
            raise NonFiniteLossError(f'step {total}: {error}') from error
        loss = torch.stack(list(terms.losses.values())).sum()
        if not bool(torch.isfinite(loss)):
            raise NonFiniteLossError(f'step {total}: loss {float(loss)}, {_floats(terms.losses)}')
        return terms, loss

    def _scaled(self, loss: Tensor) -> Tensor:
        """Scale a loss as `fabric.backward` does for fp16; the optimiser's step undoes it."""
        scaler = getattr(self._fabric.strategy.precision, 'scaler', None)
        return loss if scaler is None else scaler.scale(loss)

    def _mean(self, value: Tensor) -> Tensor:
        """Return the mean over all processes."""
        reduced_value = self._fabric.all_reduce(value, reduce_op='mean')
        assert isinstance(reduced_value, torch.Tensor)  # what went in decides what comes out
        return reduced_value

    def _boxes(self, micro: list[Batch]) -> float | None:
        """Return the objects of a step per micro-batch and process, if the losses need that."""
        if self._normaliser == 'micro':
            return None
        count = sum(len(t.labels) for b in micro for t in b.targets) / len(micro)
        return float(self._mean(torch.tensor(count)))


class _Means:
    """Means of scalars over the micro-batches of a step."""

    def __init__(self, count: int) -> None:
        self.values: dict[str, Any] = {}
        self._count = count

    def add(self, scalars: Mapping[str, Tensor]) -> None:
        """Count a micro-batch."""
        for name, value in _floats(scalars).items():
            self.values[name] = self.values.get(name, 0.0) + value / self._count


def _floats(values: Mapping[str, Tensor]) -> dict[str, float]:
    """Read scalars, all at once: a GPU is waited for only once."""
    read = torch.stack([v.detach().float() for v in values.values()]).tolist()
    return dict(zip(values, read))
