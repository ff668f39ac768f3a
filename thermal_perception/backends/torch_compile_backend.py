"""Run a network that `torch.compile` has compiled, on a CPU or a GPU."""

from __future__ import annotations

import os
import shutil
from typing import Any, TYPE_CHECKING

import torch

from thermal_perception.backends.prepared import PreparedBackend
from thermal_perception.backends.torch_backend import to_cpu
from thermal_perception.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn, Tensor

    from thermal_perception.backends.tracing import Signature

_MOST_COMPILED = 64  # of one process; without a limit of its own PyTorch stops after eight


class TorchCompileBackend(PreparedBackend):
    """A network compiled by TorchInductor; `precision` is `fp32`, `bf16`, or on a GPU `fp16`.

    Its weights are compiled in on a CPU, which lays them out for its matrix units.
    """

    name = 'torch_compile'
    title = 'torch.compile'

    def __init__(
        self,
        model: nn.Module,
        select: Callable[[Any], Any] | None = None,
        *,
        device: str = 'auto',
        precision: str = 'auto',
    ) -> None:
        """Take over a network; see `PreparedBackend`."""
        super().__init__(model, select, device=device, precision=precision)
        network = self._network

        def run(*inputs: Tensor | None, **options: Any) -> Any:
            return network(*inputs, **options)

        self._run = run
        self._compiled: Callable[..., Any] | None = None

    def _prepare(self, signature: Signature) -> Callable[..., Any]:
        _check_compiler()
        # PyTorch takes seconds to import these.
        from torch import _dynamo as dynamo
        from torch._inductor import config

        if self._compiled is None:
            self._compiled = torch.compile(self._run, fullgraph=True, dynamic=False)
        options = dict(signature.options)
        zeros = [None if k is None else torch.zeros(k[0], dtype=k[1]) for k in signature.inputs]
        with (
            torch.no_grad(),  # or weights are not frozen
            config.patch(freezing=self.device == 'cpu'),
            dynamo.config.patch(recompile_limit=_MOST_COMPILED),
        ):
            self._compiled(*self._there(zeros), **options)
        ready = dynamo.run(self._compiled)  # which never compiles, whatever it is given

        @torch.no_grad()
        def run(*inputs: Tensor | None) -> Any:
            return to_cpu(ready(*self._there(inputs), **options))

        return run

    def _there(self, inputs: Any) -> list[Tensor | None]:
        """Return copies on the device, contiguous, as what is compiled is for one layout only."""
        return [None if x is None else self._copied(x) for x in inputs]

    def _copied(self, value: Tensor) -> Tensor:
        return torch.empty(value.shape, dtype=value.dtype, device=self.device).copy_(value)


def _check_compiler() -> None:
    compiler = os.environ.get('CXX', 'g++')
    if shutil.which(compiler) is None:
        raise BackendError(
            f'found no C++ compiler {compiler}; install one (apt install g++), or choose torch'
        )
