"""Run a network that OpenVINO has compiled for the CPU."""

from __future__ import annotations

from collections import OrderedDict
from functools import cache
import logging
import os
from pathlib import Path
import pickle
import subprocess
import sys
from tempfile import TemporaryDirectory
import threading
from typing import Any, TYPE_CHECKING
import weakref

import torch
from torch.utils._pytree import tree_leaves, tree_map

from thermal_perception.backends.artefact import Artefact, StoredGraph
from thermal_perception.backends.openvino_export import GRAPH, LAYOUT, NETWORK, SIGNATURE
from thermal_perception.backends.torch_backend import everything, TorchBackend
from thermal_perception.backends.tracing import Signature
from thermal_perception.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from torch import nn, Tensor

    from thermal_perception.backends.artefact import Origin

_MOST_GRAPHS = 16  # three sets of cameras, three sets of results, and some for sizes that change
_HINTS = {'fp32': 'f32', 'bf16': 'bf16'}
_ARTEFACT = 'artefact: '
_log = logging.getLogger(__name__)


class OpenVinoBackend:
    """A network compiled for one size of images, one set of cameras and one set of results each.

    A graph takes some seconds; another process makes it, unless an artefact has it. A call waits
    for its graph, unless the backend is `live`: then the network runs in eager PyTorch until the
    graph is ready.

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
        origin: Origin | None = None,
    ) -> None:
        """Take over a network; nothing is compiled yet.

        Args:
            model: the network; it and `select` can be pickled.
            select: picks from its output what is worth fetching; None takes all of it.
            precision: `auto` takes bf16 where the processor multiplies it, else fp32.
            origin: where graphs of the network may lie that were made before; those are taken
                if they fit, else `notes` and the log tell why not.

        Raises:
            BackendError: if OpenVINO is not installed, or the precision not there.
        """
        self._core = _core()
        self.precision: str = self._checked(precision)
        self.problem = ''
        self.notes: tuple[str, ...] = ()
        self._artefact: Artefact | None = None
        self._open(origin)
        self._eager = TorchBackend(model, 'cpu', select)
        # Now, because a network that runs may exchange its weights for a moment.
        self._blueprint = pickle.dumps((model, select or everything))
        self.live = False
        # The one used last comes last; None where PyTorch must do.
        self._graphs: OrderedDict[Signature, _Graph | None] = OrderedDict()
        self._making: dict[Signature, _Maker] = {}
        weakref.finalize(self, _end_all, self._making)

    def __call__(self, *inputs: Tensor | None, **options: Hashable) -> Any:
        """Run, and wait for the result; see `TorchBackend`."""
        signature = Signature.of(inputs, options)
        graph = self._graph(signature)
        if graph is None:
            return self._eager(*inputs, **options)
        try:
            return graph(inputs)
        except RuntimeError as error:
            self._refuse(signature, f'OpenVINO cannot run the network: {_reason(error)}')
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
            self._making[signature] = self._begin(signature)
        maker = self._making.get(signature)
        if maker is None or (self.live and not maker.ended):
            return False
        problem = ''
        try:
            self._graphs[signature] = maker.graph()
        except BackendError as error:
            problem = str(error)
        finally:
            del self._making[signature]
        if problem and self._stored(signature):
            self._distrust(problem)
            return self._make(signature)
        if problem:
            self._refuse(signature, problem)
        if len(self._graphs) > _MOST_GRAPHS:
            self._graphs.popitem(last=False)
        return True

    def _begin(self, signature: Signature) -> _Maker:
        if self._artefact is not None and signature in self._artefact:
            return _Maker(_Reader(self._artefact, signature), self._core, self.precision)
        return _Maker(_Tracer(self._blueprint, signature), self._core, self.precision)

    def _stored(self, signature: Signature) -> bool:
        return self._artefact is not None and signature in self._artefact

    def _open(self, origin: Origin | None) -> None:
        try:
            self._artefact = Artefact.find(origin, self.name) if origin is not None else None
        except BackendError as error:
            self._distrust(str(error))
        if self._artefact is not None:
            number = len(self._artefact.record.graphs)
            self._note(f'{number} graphs from {self._artefact.folder}')

    def _distrust(self, problem: str) -> None:
        self._artefact = None
        self._note(f'refused: {problem}')
        _log.warning('artefact refused, so the network is traced: %s', problem)

    def _note(self, text: str) -> None:
        others = (note for note in self.notes if not note.startswith(_ARTEFACT))
        self.notes = (*others, _ARTEFACT + text)

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
    """Compiles a graph in a thread, beside the network that runs."""

    def __init__(self, source: _Reader | _Tracer, core: Any, precision: str) -> None:
        self._source, self._core, self._precision = source, core, precision
        self._graph: _Graph | None = None
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name='graph', daemon=True)
        self._thread.start()

    @property
    def ended(self) -> bool:
        return not self._thread.is_alive()

    def graph(self) -> _Graph:
        """Wait for the graph.

        Raises:
            BackendError: if there is none.
        """
        self._thread.join()
        if self._error is not None:
            raise self._error
        assert self._graph is not None
        return self._graph

    def end(self) -> None:
        """Stop; a compiler is waited for, as the end of the process would tear it down."""
        self._source.end()
        if self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        try:
            self._graph = _Graph(self._core, self._source.graph(), self._precision)
        except Exception as error:  # for whoever asks for the graph
            self._error = error
        finally:
            self._source.end()


class _Reader:
    """An artefact that has the graph."""

    def __init__(self, artefact: Artefact, signature: Signature) -> None:
        self._artefact, self._signature = artefact, signature

    def graph(self) -> StoredGraph:
        """Look through the graph.

        Raises:
            BackendError: if it is damaged.
        """
        return self._artefact.graph(self._signature)

    def end(self) -> None:
        """Do nothing: the files stay."""


class _Tracer:
    """A process that traces the network."""

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

    def graph(self) -> StoredGraph:
        """Wait for the process; its files are there until `end`.

        Raises:
            BackendError: if it failed.
        """
        folder = Path(self._folder.name)
        if self._process.wait():
            lines = (folder / 'log').read_text(errors='replace').strip().splitlines()
            raise BackendError(
                f'OpenVINO cannot compile the network: {lines[-1] if lines else "no reason"}'
            )
        return StoredGraph(folder / GRAPH, pickle.loads((folder / LAYOUT).read_bytes()))

    def end(self) -> None:
        """Stop the process, and remove what it wrote."""
        self._process.kill()
        self._process.communicate()
        self._folder.cleanup()


class _Graph:
    """A compiled graph that takes and gives what the network does."""

    def __init__(self, core: Any, stored: StoredGraph, precision: str) -> None:
        """Compile.

        Raises:
            BackendError: if OpenVINO cannot, or it has other outputs than were told.
        """
        settings = {
            'INFERENCE_PRECISION_HINT': _HINTS[precision],
            'INFERENCE_NUM_THREADS': torch.get_num_threads(),
            'PERFORMANCE_HINT': 'LATENCY',
            'ENABLE_MMAP': False,  # its file goes, or may be replaced
        }
        try:
            compiled = core.compile_model(core.read_model(stored.path), 'CPU', settings)
            self._request = compiled.create_infer_request()
        except RuntimeError as error:
            raise BackendError(f'OpenVINO cannot compile the network: {_reason(error)}') from error
        self._numbers = stored.numbers
        numbers = [n for n in tree_leaves(stored.numbers) if n is not None]
        if numbers != list(range(len(compiled.outputs))):
            raise BackendError(
                f'{stored.path}: found {len(compiled.outputs)} outputs, expected {numbers}'
            )

    def __call__(self, inputs: tuple[Tensor | None, ...]) -> Any:
        arrays = [x.numpy() for x in inputs if x is not None]
        found = self._request.infer(arrays, share_inputs=True).to_tuple()
        return tree_map(lambda n: None if n is None else torch.from_numpy(found[n]), self._numbers)


def _end_all(makers: dict[Signature, _Maker]) -> None:
    for maker in makers.values():
        maker.end()


def _reason(error: Exception) -> str:
    """Return the first line that is no place in the sources of OpenVINO."""
    lines = [line.strip() for line in str(error).splitlines()]
    told = [line for line in lines if line and not line.startswith(('Exception from', 'Check '))]
    return next(iter(told or filter(None, lines)), type(error).__name__)


def openvino_abilities() -> frozenset[str]:
    """Return what OpenVINO can do with this processor, for example `BF16`.

    Raises:
        BackendError: if it is not installed.
    """
    return frozenset(_core().get_property('CPU', 'OPTIMIZATION_CAPABILITIES'))


def _core() -> Any:
    try:
        from openvino import Core
    except ImportError as error:
        raise BackendError(
            'backend: found openvino, which is not installed; run `pip install openvino`, or '
            'choose torch'
        ) from error
    return _kept(Core)


@cache
def _kept(make: Callable[[], Any]) -> Any:
    """Return the one core of this process, which stays until the process ends.

    Where the processor has AMX, a core gives the thread that makes it another stack for signals.
    If its last reference went in another thread, the stack would go with it, and the next Ctrl-C
    would crash the process.
    """
    return make()
