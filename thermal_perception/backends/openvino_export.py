"""Make a graph for OpenVINO of a network, in a process of its own.

`torch.export` patches PyTorch for the whole process while it traces: beside a network that runs,
that would change its results. So a robot lets another process do it.
"""

from __future__ import annotations

from itertools import count
import os
from pathlib import Path
import pickle
import sys
import threading
from types import SimpleNamespace
from typing import Any, NamedTuple, TYPE_CHECKING
import warnings

import torch
from torch import nn, Tensor
from torch.utils._pytree import tree_flatten, tree_unflatten

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

NETWORK, SIGNATURE = 'network.pickle', 'signature.pickle'
GRAPH, LAYOUT = 'graph.xml', 'layout.pickle'


class Signature(NamedTuple):
    """What one graph is made for: (shape, dtype) of each input, None if missing; and switches."""

    inputs: tuple[tuple[tuple[int, ...], torch.dtype] | None, ...]
    options: tuple[tuple[str, bool], ...]

    @classmethod
    def of(cls, inputs: tuple[Tensor | None, ...], options: Mapping[str, bool]) -> Signature:
        """Return that of a call."""
        kinds = tuple(None if x is None else (tuple(x.shape), x.dtype) for x in inputs)
        return cls(kinds, tuple(sorted(options.items())))


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
        """Wrap a network; `select` picks from its output what is worth fetching."""
        super().__init__()
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


def export(traced: Traced) -> Any:
    """Return the `openvino.Model` of a network, and fill in its layout."""
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.fx_decoder import TorchFXPythonDecoder
    from openvino.frontend.pytorch.torchdynamo.export_decompositions import ops_to_not_decompose

    # `openvino.convert_model` does the same, and reports its use to its makers.
    operations = torch.export.default_decompositions()
    for known in ops_to_not_decompose():
        operations.pop(known, None)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter('ignore', FutureWarning)  # PyTorch's, of its own parts
        program = torch.export.export(traced, tuple(traced.examples))
        plain = program.run_decompositions(operations).module()
        decoder = TorchFXPythonDecoder(plain, dynamic_shapes=False)
    frontend = FrontEndManager().load_by_framework('pytorch')
    return frontend.convert(frontend.load(decoder))


def main() -> None:
    """Read NETWORK and SIGNATURE in the folder of the command line; write GRAPH and LAYOUT."""
    from openvino import save_model

    threading.Thread(target=_end_with_parent, daemon=True).start()
    folder = Path(sys.argv[1])
    torch.set_num_threads(1)
    model, select = pickle.loads((folder / NETWORK).read_bytes())
    traced = Traced(model, select, pickle.loads((folder / SIGNATURE).read_bytes()))
    save_model(export(traced), folder / GRAPH, compress_to_fp16=False)
    (folder / LAYOUT).write_bytes(pickle.dumps(traced.layout.numbers))


def _end_with_parent() -> None:
    sys.stdin.read()  # which it holds open as long as it lives
    os._exit(1)


if __name__ == '__main__':
    main()
