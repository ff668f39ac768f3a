"""Work queued on one GPU: as much of CUDA as a graph needs."""

from __future__ import annotations

from typing import Any, Protocol, TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

_WARM_UPS = 3  # libraries choose kernels and take memory, which a capture does not bear


class Queue(Protocol):
    """Where copies and graphs are queued; nothing is done for sure before `wait`."""

    def zeros(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Return a contiguous tensor on the device."""

    def pinned(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Return a contiguous tensor on the host that copies may run from and to."""

    def capture(self, run: Callable[[], Any]) -> tuple[Any, Any]:
        """Record what a function does on the device.

        Returns:
            the graph, and what the function returned: every replay writes to the same tensors.

        Raises:
            RuntimeError: if it does what a graph cannot hold, or the device fails.
        """

    def copy(self, source: Tensor, target: Tensor) -> None:
        """Queue a copy between device and host, contiguous both."""

    def replay(self, graph: Any) -> None:
        """Queue a graph: after the copies queued so far, before those to come."""

    def wait(self) -> None:
        """Wait until all copies are done.

        Raises:
            RuntimeError: if anything of what was queued failed.
        """


class CudaQueue:
    """Two streams of one GPU, one that computes and one that copies; see `Queue`."""

    def __init__(self, device: str) -> None:
        """Make the streams; `device` is `cuda` or `cuda:N`."""
        self._device = torch.device(device)
        self._computing = torch.cuda.Stream(self._device)
        self._copying = torch.cuda.Stream(self._device)

    def zeros(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Return a tensor on the device."""
        return torch.zeros(shape, dtype=dtype, device=self._device)

    def pinned(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Return a tensor in memory that is never swapped out."""
        return torch.zeros(shape, dtype=dtype, pin_memory=True)

    def capture(self, run: Callable[[], Any]) -> tuple[Any, Any]:
        """Record what a function does on the device."""
        self._computing.wait_stream(torch.cuda.current_stream(self._device))
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.stream(self._computing):  # which a capture that fails does not leave
            for _ in range(_WARM_UPS):
                run()
            # Another thread may use the GPU meanwhile, such as a model that is being replaced.
            with torch.cuda.graph(
                graph, stream=self._computing, capture_error_mode='thread_local'
            ):
                found = run()
        return graph, found

    def copy(self, source: Tensor, target: Tensor) -> None:
        """Queue a copy on its stream."""
        with torch.cuda.stream(self._copying):
            target.copy_(source, non_blocking=True)

    def replay(self, graph: Any) -> None:
        """Queue a graph on its stream, between the copies."""
        self._computing.wait_stream(self._copying)
        with torch.cuda.stream(self._computing):
            graph.replay()
        self._copying.wait_stream(self._computing)

    def wait(self) -> None:
        """Wait for the copies, the last of which follow the graph."""
        self._copying.synchronize()
