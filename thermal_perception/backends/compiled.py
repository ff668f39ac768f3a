"""Run a network that a run-time has compiled."""

from __future__ import annotations

from collections import OrderedDict
import logging
from pathlib import Path
import pickle
import threading
from typing import Any, TYPE_CHECKING
import weakref

import torch
from torch.utils._pytree import tree_leaves, tree_map

from thermal_perception.backends.artefact import Artefact, artefact_folder, StoredGraph
from thermal_perception.backends.runtime import reason
from thermal_perception.backends.torch_backend import everything, TorchBackend
from thermal_perception.backends.tracer import Tracer
from thermal_perception.backends.tracing import Signature
from thermal_perception.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from torch import nn, Tensor

    from thermal_perception.backends.artefact import Origin
    from thermal_perception.backends.runtime import Runtime

_MOST_GRAPHS = 32  # three sets of results in batches of up to six, and what comes late
_ARTEFACT = 'artefact: '
_log = logging.getLogger(__name__)


class CompiledBackend:
    """A network compiled for one size and number of images, one set of cameras and results.

    A graph takes some seconds; another process makes it, unless an artefact has it. A call waits
    for its graph, unless the backend is `live`: then the network runs in eager PyTorch until the
    graph is ready. With int8 there are graphs in an artefact only, as they need images to be made.

    Attributes:
        name: of the run-time.
        precision: of the network's inner values; results are float32.
        device: where it runs.
        live: keep no call waiting for a graph.
        problem: why PyTorch runs instead, for at least one signature; empty if it does not.
        notes: what is worth knowing of how it runs.
    """

    def __init__(
        self,
        runtime: Runtime,
        model: nn.Module,
        select: Callable[[Any], Any] | None = None,
        *,
        origin: Origin | None = None,
    ) -> None:
        """Take over a network; nothing is compiled yet.

        Args:
            runtime: what compiles and runs it.
            model: the network; it and `select` can be pickled.
            select: picks from its output what is worth fetching; None takes all of it.
            origin: where graphs of the network may lie that were made before; those are taken
                if they fit, else `notes` and the log tell why not.

        Raises:
            BackendError: if the network does not fit on the device, or there is no artefact of
                int8 numbers for a run-time that is to multiply those.
        """
        self.name, self.precision, self.device = runtime.name, runtime.precision, runtime.device
        self._runtime = runtime
        self.problem = ''
        self.notes: tuple[str, ...] = ()
        self._artefact: Artefact | None = None
        self._open(origin)
        # Now, because a network that runs may exchange its weights for a moment.
        self._blueprint = pickle.dumps((model.eval(), select or everything))
        self._eager = TorchBackend(model, runtime.device, select)
        self.live = False
        # The one used last comes last; None where PyTorch must do.
        self._graphs: OrderedDict[Signature, _Graph | None] = OrderedDict()
        self._making: dict[Signature, _Maker] = {}
        weakref.finalize(self, _end_all, self._making)

    def __call__(self, *inputs: Tensor | None, **options: Hashable) -> Any:
        """Run, and wait for the result; see `TorchBackend`.

        Raises:
            BackendError: as `TorchBackend`; or with int8 for images together, for which no
                artefact has a graph.
        """
        signature = Signature.of(inputs, options)
        graph = self._graph(signature)
        if graph is None:
            return self._eager(*inputs, **options)
        try:
            return graph(inputs)
        except self._runtime.errors as error:
            title = self._runtime.title
            self._refuse(signature, f'{title} cannot run the network: {reason(error)}')
            return self._eager(*inputs, **options)

    def _graph(self, signature: Signature) -> _Graph | None:
        """Return a graph; None if there is none, or not yet."""
        if signature not in self._graphs and not self._make(signature):
            return None
        self._graphs.move_to_end(signature)
        return self._graphs[signature]

    def _make(self, signature: Signature) -> bool:
        """Make a graph, or see to it that one is being made; tell whether that has ended."""
        if self.precision == 'int8' and not self._stored(signature):
            problem = self._untraced(signature)
            if _together(signature) > 1:
                raise BackendError(problem)  # eager PyTorch would be slower than each alone
            self._refuse(signature, problem)
            self._let_go()
            return True
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
        self._let_go()
        return True

    def _let_go(self) -> None:
        if len(self._graphs) > _MOST_GRAPHS:
            self._graphs.popitem(last=False)

    def _begin(self, signature: Signature) -> _Maker:
        if self._artefact is not None and signature in self._artefact:
            return _Maker(_Reader(self._artefact, signature), self._runtime)
        return _Maker(Tracer(self._runtime, self._blueprint, signature), self._runtime)

    def _stored(self, signature: Signature) -> bool:
        return self._artefact is not None and signature in self._artefact

    def _untraced(self, signature: Signature) -> str:
        if self._artefact is None:
            return f'precision int8: {self.notes[-1]}'
        advice = ', see export --cameras' if _together(signature) > 1 else ''
        found = f'{self._artefact.folder} has no graph for inputs of {signature.text}'
        return f'precision int8: {found}{advice}'

    def _open(self, origin: Origin | None) -> None:
        if self.precision == 'int8':
            self._artefact = _int8_artefact(origin, self._runtime)
        else:
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
        instead = 'eager PyTorch runs' if self.precision == 'int8' else 'the network is traced'
        _log.warning('artefact refused, so %s: %s', instead, problem)

    def _note(self, text: str) -> None:
        others = (note for note in self.notes if not note.startswith(_ARTEFACT))
        self.notes = (*others, _ARTEFACT + text)

    def _refuse(self, signature: Signature, problem: str) -> None:
        self._graphs[signature] = None
        self.problem = problem
        _log.warning(problem)


class _Maker:
    """Compiles a graph in a thread, beside the network that runs."""

    def __init__(self, source: _Reader | Tracer, runtime: Runtime) -> None:
        self._source, self._runtime = source, runtime
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
            self._graph = _Graph(self._runtime, self._source.graph())
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


class _Graph:
    """A compiled graph that takes and gives what the network does."""

    def __init__(self, runtime: Runtime, stored: StoredGraph) -> None:
        """Compile.

        Raises:
            BackendError: if the run-time cannot, or the graph has other outputs than were told.
        """
        try:
            self._compiled = runtime.compile(stored.path)
        except runtime.errors as error:
            raise BackendError(
                f'{runtime.title} cannot compile the network: {reason(error)}'
            ) from error
        self._numbers = stored.numbers
        numbers = [n for n in tree_leaves(stored.numbers) if n is not None]
        if numbers != list(range(self._compiled.outputs)):
            raise BackendError(
                f'{stored.path}: found {self._compiled.outputs} outputs, expected {numbers}'
            )

    def __call__(self, inputs: tuple[Tensor | None, ...]) -> Any:
        found = self._compiled.run([x.numpy() for x in inputs if x is not None])
        return tree_map(lambda n: None if n is None else torch.from_numpy(found[n]), self._numbers)


def _together(signature: Signature) -> int:
    """Return how many images there are of each camera."""
    return max((kind[0][0] for kind in signature.inputs if kind is not None), default=1)


def _int8_artefact(origin: Origin | None, runtime: Runtime) -> Artefact:
    found = None if origin is None else Artefact.find(origin, runtime.name, 'int8')
    if found is not None:
        return found
    checkpoint = Path('CHECKPOINT') if origin is None else origin.checkpoint
    raise BackendError(
        f'precision: found int8, but no {artefact_folder(checkpoint, runtime.name, "int8")}; run '
        f'`thermal-perception export {checkpoint} --to {runtime.graph_format} --precision int8 '
        '--calibrate DIR` with images like those of the camera'
    )


def _end_all(makers: dict[Signature, _Maker]) -> None:
    for maker in makers.values():
        maker.end()
