"""What one graph of a network is made for, and the network as a compiler wants it."""

from __future__ import annotations

from itertools import count
from types import SimpleNamespace
from typing import Any, NamedTuple, TYPE_CHECKING

import torch
from torch import nn, Tensor
from torch.utils._pytree import tree_flatten, tree_unflatten

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping


class Signature(NamedTuple):
    """What one graph is made for: (shape, dtype) of each input, None if missing; and switches."""

    inputs: tuple[tuple[tuple[int, ...], torch.dtype] | None, ...]
    options: tuple[tuple[str, Hashable], ...]

    @classmethod
    def of(cls, inputs: tuple[Tensor | None, ...], options: Mapping[str, Hashable]) -> Signature:
        """Return that of a call."""
        kinds = tuple(None if x is None else (tuple(x.shape), x.dtype) for x in inputs)
        return cls(kinds, tuple(sorted(options.items())))

    @property
    def text(self) -> str:
        """For messages, for example `1x1x512x640, content=(480, 640)`."""
        shapes = ' and '.join('x'.join(map(str, k[0])) for k in self.inputs if k is not None)
        return ', '.join([shapes, *(f'{name}={value}' for name, value in self.options)])

    def together(self, number: int) -> Signature:
        """Return that of one call with so many times the images."""
        kinds = (None if k is None else ((number * k[0][0], *k[0][1:]), k[1]) for k in self.inputs)
        return self._replace(inputs=tuple(kinds))


class Traced(nn.Module):
    """The network with some inputs left out and switches set: tensors in, tensors out.

    Attributes:
        examples: one tensor for each input.
        layout: once it was traced, its `numbers` are the output of the network with a number in
            place of each tensor.
    """

    def __init__(
        self, model: nn.Module, select: Callable[[Any], Any], signature: Signature
    ) -> None:
        """Take over a network; `select` picks from its output what is worth fetching."""
        super().__init__()
        model.requires_grad_(False)  # or its gradients are traced, too
        self._model, self._select, self._signature = model, select, signature
        self.examples = [torch.zeros(k[0], dtype=k[1]) for k in signature.inputs if k is not None]
        self.layout = SimpleNamespace()  # what a trace assigns to the module itself is taken back

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        """Run the network on the inputs there are."""
        left = iter(given)
        inputs = [None if kind is None else next(left) for kind in self._signature.inputs]
        found = self._select(self._model(*inputs, **dict(self._signature.options)))
        leaves, structure = tree_flatten(found)
        number = count()
        self.layout.numbers = tree_unflatten(
            [None if leaf is None else next(number) for leaf in leaves], structure
        )
        return tuple(leaf for leaf in leaves if leaf is not None)
