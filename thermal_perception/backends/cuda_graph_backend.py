"""Run a network that was recorded as a CUDA graph: one launch instead of hundreds."""

from __future__ import annotations

from typing import Any, TYPE_CHECKING

import torch
from torch.utils._pytree import tree_leaves

from thermal_perception.backends.cuda_queue import CudaQueue
from thermal_perception.backends.prepared import PreparedBackend
from thermal_perception.backends.torch_backend import each
from thermal_perception.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn, Tensor

    from thermal_perception.backends.cuda_queue import Queue
    from thermal_perception.backends.tracing import Signature


class CudaGraphBackend(PreparedBackend):
    """A network on a GPU as CUDA graphs; `precision` is `bf16`, `fp16` or `fp32`.

    Weights stay in single precision; the network rounds what it multiplies (autocast).
    """

    name = 'cuda_graph'
    title = 'A CUDA graph'

    def __init__(
        self,
        model: nn.Module,
        select: Callable[[Any], Any] | None = None,
        *,
        device: str = 'auto',
        precision: str = 'auto',
    ) -> None:
        """Take over a network; see `PreparedBackend`.

        Args:
            model: the network.
            select: picks from its output what is worth fetching; None takes all of it.
            device: `cuda` or `cuda:N`; `auto` is `cuda`.
            precision: see `choose_precision`.

        Raises:
            BackendError: if there is no such device, or it does not know the precision.
        """
        if device == 'cpu':
            raise BackendError('backend cuda_graph: found device cpu, expected auto, cuda, cuda:N')
        device = 'cuda' if device == 'auto' else device
        super().__init__(model, select, device=device, precision=precision)
        self._queue: Queue = CudaQueue(self.device)

    def _prepare(self, signature: Signature) -> Callable[..., Any]:
        return _Graph(self._queue, self._network, signature)


class _Graph:
    """The network for one signature, and the memory that it reads and writes at every replay."""

    @torch.no_grad()
    def __init__(self, queue: Queue, network: Callable[..., Any], signature: Signature) -> None:
        """Record the network.

        Args:
            queue: of the device.
            network: takes and gives contiguous tensors there.
            signature: what to record it for.

        Raises:
            RuntimeError: if it cannot be recorded, or the device fails.
        """
        self._queue = queue
        kinds = signature.inputs
        self._sent = [None if kind is None else queue.pinned(*kind) for kind in kinds]
        self._inputs = [None if kind is None else queue.zeros(*kind) for kind in kinds]
        options = dict(signature.options)
        self._graph, self._outputs = queue.capture(lambda: network(*self._inputs, **options))
        self._fetched = each(self._outputs, lambda x: queue.pinned(tuple(x.shape), x.dtype))

    @torch.no_grad()
    def __call__(self, *inputs: Tensor | None) -> Any:
        """Run on tensors of any device; return copies on the CPU that are the caller's."""
        for value, sent, there in zip(inputs, self._sent, self._inputs):
            if value is not None and sent is not None and there is not None:
                sent.copy_(value)
                self._queue.copy(sent, there)
        self._queue.replay(self._graph)
        for output, fetched in zip(_tensors(self._outputs), _tensors(self._fetched)):
            self._queue.copy(output, fetched)
        self._queue.wait()
        return each(self._fetched, torch.clone)


def _tensors(output: Any) -> list[Tensor]:
    """Return the tensors in tuples, in their order."""
    return [leaf for leaf in tree_leaves(output) if leaf is not None]
