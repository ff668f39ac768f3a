"""Run a network that OpenVINO has compiled for the CPU."""

from __future__ import annotations

from collections import OrderedDict
import logging
import os
from pathlib import Path
import pickle
import subprocess
import sys
from tempfile import TemporaryDirectory
from typing import Any, TYPE_CHECKING
import weakref

import torch
from torch.utils._pytree import tree_map

from thermal_perception.backends.openvino_export import (
    GRAPH,
    LAYOUT,
    NETWORK,
    SIGNATURE,
    Signature,
)
from thermal_perception.backends.torch_backend import everything, TorchBackend
from thermal_perception.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn, Tensor

_MOST_GRAPHS = 16  # three sets of cameras, three sets of results, and some for sizes that change
_HINTS = {'fp32': 'f32', 'bf16': 'bf16'}
_log = logging.getLogger(__name__)


class OpenVinoBackend:
    """A network compiled for one size of images, one set of cameras and one set of results each.

    A graph takes some seconds; another process makes it. A call waits for its graph, unless the
    backend is `live`: then the network runs in eager PyTorch until the graph is ready.

    Attributes:
        name: `openvino`.
        precision: of the network's inner values, `fp32` or `bf16`; results are float32.
        device: `cpu`.
        live: keep no call waiting for a graph.
        problem: why PyTorch runs instead, for at least one signature; empty if it does not.
        notes: what is worth knowing of how it runs.
    """

    name = 'openvino'
    device = 'cpu'

    def __init__(
        self,
        model: nn.Module,
        select: Callable[[Any], Any] | None = None,
        *,
        precision: str = 'auto',
    ) -> None:
        """Take over a network; nothing is compiled yet.

        Args:
            model: the network; it and `select` can be pickled.
            select: picks from its output what is worth fetching; None takes all of it.
            precision: `auto` takes bf16 where the processor multiplies it, else fp32.

        Raises:
            BackendError: if OpenVINO is not installed, or the precision not there.
        """
        self._core = _core()
        self.precision: str = self._checked(precision)
        self.problem = ''
        self.notes: tuple[str, ...] = ()
        self._eager = TorchBackend(model, 'cpu', select)
        # Now, because a network that runs may exchange its weights for a moment.
        self._blueprint = pickle.dumps((model, select or everything))
        self.live = False
        # The one used last comes last; None where PyTorch must do.
        self._graphs: OrderedDict[Signature, _Graph | None] = OrderedDict()
        self._making: dict[Signature, _Maker] = {}
        weakref.finalize(self, _end_all, self._making)

    def __call__(self, *inputs: Tensor | None, **options: bool) -> Any:
        """Run, and wait for the result; see `TorchBackend`."""
        signature = Signature.of(inputs, options)
        graph = self._graph(signature)
        if graph is None:
            return self._eager(*inputs, **options)
        try:
            return graph(inputs)
        except RuntimeError as error:
            self._refuse(signature, f'OpenVINO cannot run the network: {_first_line(error)}')
            return self._eager(*inputs, **options)

    def _graph(self, signature: Signature) -> _Graph | None:
        """Return a graph; None if there is none, or not yet."""
        if signature not in self._graphs and not self._make(signature):
            return None
        self._graphs.move_to_end(signature)
        return self._graphs[signature]

    def _make(self, signature: Signature) -> bool:
        """Make a graph, or see to it that one is being made; tell whether that has ended."""
        if not self._making:
            self._making[signature] = _Maker(self._blueprint, signature)
        maker = self._making.get(signature)
        if maker is None or (self.live and not maker.ended):
            return False
        try:
            self._graphs[signature] = maker.graph(self._core, self.precision)
        except BackendError as error:
            self._refuse(signature, str(error))
        finally:
            del self._making[signature]
        if len(self._graphs) > _MOST_GRAPHS:
            self._graphs.popitem(last=False)
        return True

    def _refuse(self, signature: Signature, problem: str) -> None:
        self._graphs[signature] = None
        self.problem = problem
        _log.warning(problem)

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


class _Maker:
    """A process that makes a graph."""

    def __init__(self, blueprint: bytes, signature: Signature) -> None:
        self._folder = TemporaryDirectory(prefix='thermal_perception_')
        folder = Path(self._folder.name)
        (folder / NETWORK).write_bytes(blueprint)
        (folder / SIGNATURE).write_bytes(pickle.dumps(signature))
        with (folder / 'log').open('w') as log:
            self._process = subprocess.Popen(
                [sys.executable, '-m', 'thermal_perception.backends.openvino_export', str(folder)],
                stdin=subprocess.PIPE,  # it ends when nobody holds the other end
                stdout=log,
                stderr=log,
                env={**os.environ, 'PYTHONPATH': os.pathsep.join(p for p in sys.path if p)},
                start_new_session=True,  # Ctrl-C is ours
            )

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def graph(self, core: Any, precision: str) -> _Graph:
        """Wait for the process and compile what it made.

        Raises:
            BackendError: if it failed.
        """
        folder = Path(self._folder.name)
        try:
            if self._process.wait():
                lines = (folder / 'log').read_text(errors='replace').strip().splitlines()
                raise BackendError(
                    f'OpenVINO cannot compile the network: {lines[-1] if lines else "no reason"}'
                )
            try:
                return _Graph(core, folder, precision)
            except RuntimeError as error:
                raise BackendError(
                    f'OpenVINO cannot compile the network: {_first_line(error)}'
                ) from error
        finally:
            self.end()

    def end(self) -> None:
        """Stop the process, and remove what it wrote."""
        self._process.kill()
        self._process.communicate()
        self._folder.cleanup()


class _Graph:
    """A compiled graph that takes and gives what the network does."""

    def __init__(self, core: Any, folder: Path, precision: str) -> None:
        settings = {
            'INFERENCE_PRECISION_HINT': _HINTS[precision],
            'INFERENCE_NUM_THREADS': torch.get_num_threads(),
            'PERFORMANCE_HINT': 'LATENCY',
            'ENABLE_MMAP': False,  # its file goes
        }
        network = core.read_model(folder / GRAPH)
        self._request = core.compile_model(network, 'CPU', settings).create_infer_request()
        self._numbers = pickle.loads((folder / LAYOUT).read_bytes())

    def __call__(self, inputs: tuple[Tensor | None, ...]) -> Any:
        arrays = [x.numpy() for x in inputs if x is not None]
        found = self._request.infer(arrays, share_inputs=True).to_tuple()
        return tree_map(lambda n: None if n is None else torch.from_numpy(found[n]), self._numbers)


def _end_all(makers: dict[Signature, _Maker]) -> None:
    for maker in makers.values():
        maker.end()


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def openvino_abilities() -> frozenset[str]:
    """Return what OpenVINO can do with this processor, for example `BF16`.

    Raises:
        BackendError: if it is not installed.
    """
    return frozenset(_core().get_property('CPU', 'OPTIMIZATION_CAPABILITIES'))


def _core() -> Any:
    try:
        import openvino
    except ImportError as error:
        raise BackendError(
            'backend: found openvino, which is not installed; run `pip install openvino`, or '
            'choose torch'
        ) from error
    return openvino.Core()
