"""Run a network that OpenVINO has compiled for the CPU."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
import copy
from dataclasses import dataclass
import logging
from typing import Any, NamedTuple, TYPE_CHECKING
import warnings

import torch
from torch import nn, Tensor
from torch.utils._pytree import tree_flatten, tree_unflatten

from thermal_perception.backends.torch_backend import everything, TorchBackend
from thermal_perception.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Future

_MOST_LIVE = 8  # graphs of a robot: its cameras and listeners change now and then, sizes do not
_HINTS = {'fp32': 'f32', 'bf16': 'bf16'}
_log = logging.getLogger(__name__)


class _Signature(NamedTuple):
    """What one compiled graph is made for: (shape, dtype) of each input, and the switches."""

    inputs: tuple[tuple[tuple[int, ...], torch.dtype] | None, ...]
    options: tuple[tuple[str, bool], ...]

    @classmethod
    def of(cls, inputs: tuple[Tensor | None, ...], options: Mapping[str, bool]) -> _Signature:
        kinds = tuple(None if x is None else (tuple(x.shape), x.dtype) for x in inputs)
        return cls(kinds, tuple(sorted(options.items())))


class OpenVinoBackend:
    """A network compiled for one size of images, one set of cameras and one set of results each.

    Compiling takes seconds. The first graph is made when it is first asked for, which is while a
    node warms up. What is asked for later, such as another camera's absence, runs in eager PyTorch
    until its graph is ready, if nobody may wait.

    Attributes:
        name: `openvino`.
        precision: of the network's inner values, `fp32` or `bf16`; results are float32.
        device: `cpu`.
        problem: why PyTorch runs instead, for at least one signature; empty if it does not.
    """

    name = 'openvino'
    device = 'cpu'

    def __init__(
        self,
        model: nn.Module,
        select: Callable[[Any], Any] | None = None,
        *,
        precision: str = 'auto',
        live: bool = False,
    ) -> None:
        """Take over a network; nothing is compiled yet.

        Args:
            model: the network.
            select: picks from its output what is worth fetching; None takes all of it.
            precision: `auto` takes bf16 where the processor multiplies it, else fp32.
            live: do not wait for a second graph.

        Raises:
            BackendError: if OpenVINO is not installed, or the precision not there.
        """
        self._core = _core()
        self.precision: str = self._checked(precision)
        self.problem = ''
        self._eager = TorchBackend(model, 'cpu', select)
        self._model, self._select, self._live = model, select or everything, live
        self._graphs: dict[_Signature, _Graph | None] = {}  # None where PyTorch must do
        self._builder = ThreadPoolExecutor(1, thread_name_prefix='openvino')
        self._building: dict[_Signature, Future[_Graph | None]] = {}

    def __call__(self, *inputs: Tensor | None, **options: bool) -> Any:
        """Run, and wait for the result; see `TorchBackend`."""
        signature = _Signature.of(inputs, options)
        if signature not in self._graphs and not self._make(signature):
            return self._eager(*inputs, **options)
        graph = self._graphs[signature]
        return self._eager(*inputs, **options) if graph is None else graph(inputs)

    def _make(self, signature: _Signature) -> bool:
        """Make a graph, or see to it that one is being made; tell whether it is there."""
        if not (self._live and self._graphs):
            self._graphs[signature] = self._build(signature)
            return True
        if signature not in self._building:
            if len(self._graphs) + len(self._building) >= _MOST_LIVE:
                return False
            self._building[signature] = self._builder.submit(self._build, signature)
        if not self._building[signature].done():
            return False
        self._graphs[signature] = self._building.pop(signature).result()
        return True

    def _build(self, signature: _Signature) -> _Graph | None:
        try:
            model = copy.deepcopy(self._model)  # tracing exchanges its weights for a while
            traced = _Traced(model, self._select, signature)
            return _Graph(self._core, traced, self.precision, torch.get_num_threads())
        except Exception as error:  # whatever export or compiler could not do, PyTorch can
            first = (str(error).strip() or type(error).__name__).splitlines()[0]
            self.problem = f'OpenVINO cannot compile the network: {first}'
            _log.warning(self.problem)
            return None

    def _checked(self, precision: str) -> str:
        if precision not in ('auto', *_HINTS):
            raise BackendError(f'precision: found {precision!r}, expected auto, fp32 or bf16')
        fast = 'BF16' in self._core.get_property('CPU', 'OPTIMIZATION_CAPABILITIES')
        if precision == 'bf16' and not fast:
            raise BackendError(
                'precision: found bf16, but this processor does not multiply it; expected auto or '
                'fp32'
            )
        if precision == 'auto':
            return 'bf16' if fast else 'fp32'
        return precision


@dataclass
class _Layout:
    """How an output is put together: its structure, and which of its leaves are tensors."""

    spec: Any = None
    there: tuple[bool, ...] = ()


class _Traced(nn.Module):
    """The network with some inputs left out and switches set: tensors in, tensors out.

    Attributes:
        examples: one tensor for each input.
        layout: of the output, filled in when the network is traced.
    """

    def __init__(
        self, model: nn.Module, select: Callable[[Any], Any], signature: _Signature
    ) -> None:
        super().__init__()
        self._model, self._select, self._signature = model, select, signature
        self.examples = [torch.zeros(k[0], dtype=k[1]) for k in signature.inputs if k is not None]
        self.layout = _Layout()

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        """Run the network on the inputs there are."""
        left = iter(given)
        inputs = [None if kind is None else next(left) for kind in self._signature.inputs]
        found = self._select(self._model(*inputs, **dict(self._signature.options)))
        leaves, self.layout.spec = tree_flatten(found)
        self.layout.there = tuple(leaf is not None for leaf in leaves)
        return tuple(leaf for leaf in leaves if leaf is not None)


class _Graph:
    """A compiled graph that takes and gives what the network does."""

    def __init__(self, core: Any, traced: _Traced, precision: str, num_threads: int) -> None:
        from openvino.frontend import FrontEndManager
        from openvino.frontend.pytorch.fx_decoder import TorchFXPythonDecoder
        from openvino.frontend.pytorch.torchdynamo.export_decompositions import (
            ops_to_not_decompose,
        )

        # `openvino.convert_model` does the same, and reports its use to its makers.
        operations = torch.export.default_decompositions()
        for known in ops_to_not_decompose():
            operations.pop(known, None)
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter('ignore', FutureWarning)  # PyTorch's, of its own parts
            program = torch.export.export(traced, tuple(traced.examples))
            decoder = TorchFXPythonDecoder(
                program.run_decompositions(operations).module(), dynamic_shapes=False
            )
        frontend = FrontEndManager().load_by_framework('pytorch')
        network = frontend.convert(frontend.load(decoder))
        settings = {
            'INFERENCE_PRECISION_HINT': _HINTS[precision],
            'INFERENCE_NUM_THREADS': num_threads,
            'PERFORMANCE_HINT': 'LATENCY',
        }
        self._request = core.compile_model(network, 'CPU', settings).create_infer_request()
        self._layout = traced.layout

    def __call__(self, inputs: tuple[Tensor | None, ...]) -> Any:
        arrays = [x.numpy() for x in inputs if x is not None]
        given = iter(self._request.infer(arrays, share_inputs=True).to_tuple())
        leaves = [torch.from_numpy(next(given)) if there else None for there in self._layout.there]
        return tree_unflatten(leaves, self._layout.spec)


def _core() -> Any:
    try:
        import openvino
    except ImportError as error:
        raise BackendError(
            'backend: found openvino, which is not installed; run `pip install openvino`, or '
            'choose torch'
        ) from error
    return openvino.Core()
