"""Run a network that was prepared for its inputs before anybody waits for its results."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
import logging
from typing import Any, TYPE_CHECKING

from thermal_perception.backends.precision import choose_precision, InPrecision
from thermal_perception.backends.runtime import reason
from thermal_perception.backends.torch_backend import choose_device, everything, TorchBackend
from thermal_perception.backends.tracing import Signature

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from torch import nn, Tensor

_MOST = 32  # three sets of results in batches of up to six, and what comes late
_log = logging.getLogger(__name__)


class PreparedBackend(ABC):
    """A network prepared for one size and number of images, one set of cameras and results.

    A call prepares what it needs and waits for it, unless the backend is `live`: then what was
    not prepared runs in eager PyTorch, now and later. So does what cannot be prepared or fails.
    Whether the device is out of memory or lost shows when PyTorch fails there as well.

    Attributes:
        name: of the backend.
        title: of what prepares, for messages.
        precision: of the network's inner values; results are float32.
        device: where it runs.
        live: prepare nothing any more.
        problem: why PyTorch runs instead, for at least one signature; empty if it does not.
        notes: what is worth knowing of how it runs.
    """

    name: str
    title: str

    def __init__(
        self,
        model: nn.Module,
        select: Callable[[Any], Any] | None = None,
        *,
        device: str = 'auto',
        precision: str = 'auto',
    ) -> None:
        """Move a network to its device; nothing is prepared yet.

        Args:
            model: the network.
            select: picks from its output what is worth fetching; None takes all of it.
            device: where it runs.
            precision: see `choose_precision`.

        Raises:
            BackendError: if the device or the precision is not there, or the network does not fit.
        """
        self.device = choose_device(device)
        self.precision = choose_precision(precision, self.device)
        self.live = False
        self.problem = ''
        self.notes: tuple[str, ...] = ()
        self._eager = TorchBackend(model, self.device, select)
        self._network = InPrecision(model, select or everything, self.device, self.precision)
        # The one used last comes last; None where PyTorch must do.
        self._ready: OrderedDict[Signature, Callable[..., Any] | None] = OrderedDict()
        self._late = False

    @abstractmethod
    def _prepare(self, signature: Signature) -> Callable[..., Any]:
        """Return what runs the network: it takes the inputs, and gives what was selected.

        Inputs are tensors on the CPU, or None; results are tensors on the CPU that the next call
        leaves as they are. Whatever it or `_prepare` raises is answered by eager PyTorch.
        """

    def __call__(self, *inputs: Tensor | None, **options: Hashable) -> Any:
        """Run, and wait for the result; see `TorchBackend`."""
        signature = Signature.of(inputs, options)
        try:
            run = self._found(signature)
            if run is not None:
                return run(*inputs)
        except Exception as error:  # eager PyTorch tells whether anything but this is wrong
            self._refuse(signature, error)
        return self._eager(*inputs, **options)

    def _found(self, signature: Signature) -> Callable[..., Any] | None:
        """Return what runs a signature, prepared now if it may be; None if PyTorch must do."""
        if signature in self._ready:
            self._ready.move_to_end(signature)
        elif self.live:
            self._note_late(signature)
            return None
        else:
            self._ready[signature] = self._prepare(signature)
            self._let_go()
        return self._ready[signature]

    def _refuse(self, signature: Signature, error: Exception) -> None:
        self._ready[signature] = None
        self._let_go()
        self.problem = f'{self.title} cannot run the network: {reason(error)}'
        _log.warning(self.problem)

    def _let_go(self) -> None:
        if len(self._ready) > _MOST:
            self._ready.popitem(last=False)

    def _note_late(self, signature: Signature) -> None:
        if self._late:
            return
        self._late = True
        note = f'eager PyTorch runs what was not warmed up: inputs of {signature.text}'
        self.notes = (*self.notes, note)
        _log.warning('%s: %s', self.name, note)
