"""One network for several cameras, which ask for it from threads of their own."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
import threading
import time
from typing import Any, Protocol, TYPE_CHECKING

from thermal_perception.errors import BackendError
from thermal_perception.nodes.perception.perceivers import PerceiverLike

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Sequence

    from thermal_perception.nodes.perception.perceivers import ModelInfoLike
    from thermal_perception.types import FrameSet, Modality, Output, Perception


_ENDED = 'network: its thread has been ended'


class BatchesLike(Protocol):
    """What nodes read of `perceive.batches.Batches`."""

    @property
    def most(self) -> int:
        """Frames that go together at most."""

    @property
    def patience_s(self) -> float:
        """Seconds that waiting for a larger batch may take."""

    @property
    def text(self) -> str:
        """What was found of batches."""

    def size(self, kind: Hashable, ready: int) -> int:
        """Return how many of `ready` frames of a kind go together."""

    def bound_s(self, cameras: int) -> float | None:
        """Return within how many seconds each of so many cameras is answered."""


class ReadyLike(Protocol):
    """What nodes read of `perceive.perceiver.Ready`."""

    @property
    def kind(self) -> Hashable:
        """What those must have in common that go into one batch."""


class BatchPerceiver(PerceiverLike, Protocol):
    """What a network must be able to do to be shared; see `perceive.Perceiver`."""

    @property
    def batches(self) -> BatchesLike:
        """How many frames go together."""

    def warm_up_batches(self, size: tuple[int, int], most: int) -> None:
        """Run on 1, 2, ... `most` black images of (height, width), and see what pays."""

    def prepare(self, frames: FrameSet, *, wanted: Collection[Output] | None = None) -> ReadyLike:
        """Bring frames to the network's input."""

    def run(self, together: Sequence[Any]) -> Sequence[Perception | Exception]:
        """Perceive prepared frames of one kind in one call; each has its result or its error."""


@dataclass(eq=False)
class _Request:
    """One camera's frames on their way through the network."""

    network: SharedPerceiver
    frames: FrameSet
    wanted: Collection[Output] | None
    asked_s: float = field(default_factory=time.perf_counter)
    answer: Future[Perception] = field(default_factory=Future)
    ready: Any = None

    def prepare(self, perceiver: BatchPerceiver) -> bool:
        """Bring the frames to the network's input, once; if that fails it is answered."""
        if self.ready is None:
            try:
                self.ready = perceiver.prepare(self.frames, wanted=self.wanted)
            except Exception as error:
                self.answer.set_exception(error)
        return self.ready is not None


class NetworkThread:
    """The one thread in which the networks of a process run, see `call_in_thread`.

    Whoever has waited longest goes first. Cameras that were just answered have a moment to come
    again before a smaller batch begins, as in a rush they have the next frame at hand: or they and
    those that wait would take turns for ever, where all could go together.
    """

    def __init__(self) -> None:
        """Make it; `start` runs it."""
        self._waiting: list[_Request] = []  # oldest first
        self._condition = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name='network', daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self, timeout_s: float) -> bool:
        """End after the call in progress; who waits gets an error. False if it takes too long."""
        with self._condition:
            self._closed = True
            self._condition.notify()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def ask(self, request: _Request) -> Perception:
        """Wait for the answer of a network.

        Raises:
            BackendError: if the thread has been ended; besides, what the network raises.
        """
        with self._condition:
            if self._closed:
                raise BackendError(_ENDED)
            self._waiting.append(request)
            self._condition.notify()
        return request.answer.result()

    def _run(self) -> None:
        while self._await_request():
            self._serve()
        for request in self._waiting:
            request.answer.set_exception(BackendError(_ENDED))

    def _await_request(self) -> bool:
        with self._condition:
            self._condition.wait_for(lambda: bool(self._waiting) or self._closed)
            return not self._closed

    def _serve(self) -> None:
        with self._condition:
            network = self._waiting[0].network
            waiting = [request for request in self._waiting if request.network is network]
        network.serve(waiting)
        with self._condition:
            asked = len(self._waiting)
            self._waiting = [each for each in self._waiting if not each.answer.done()]
            self._condition.wait_for(
                lambda: self._closed or len(self._waiting) >= min(asked, network.most),
                network.patience_s,
            )


class SharedPerceiver:
    """Stands for the network before each of its cameras; see `PerceiverLike`.

    Frames that are ready when the network becomes free go together if a batch of so many was
    measured to be faster than one after the other, else the oldest goes alone.
    """

    def __init__(self, perceiver: BatchPerceiver, thread: NetworkThread, sharers: int) -> None:
        """Share a network among so many nodes."""
        self._perceiver, self._thread, self._sharers = perceiver, thread, sharers
        self._warming = threading.Lock()
        self._warm: tuple[int, int] | None = None
        self._degraded_at_first = perceiver.degraded
        self._numbers: Counter[int] = Counter()
        self._late = 0

    # As a perceiver

    @property
    def info(self) -> ModelInfoLike:
        """What runs."""
        return self._perceiver.info

    @property
    def device(self) -> str:
        """Where it runs now."""
        return self._perceiver.device

    @property
    def backend(self) -> str:
        """Run-time and precision."""
        return self._perceiver.backend

    @property
    def backend_notes(self) -> tuple[str, ...]:
        """What is worth knowing of how it runs, and of what the cameras have to expect."""
        bound_s = self._perceiver.batches.bound_s(self._sharers)
        bound = '' if bound_s is None else f'; an answer takes {bound_s * 1e3:.0f} ms at most'
        shared = f'shared by {self._sharers} cameras, {self._perceiver.batches.text}{bound}'
        return (*self._perceiver.backend_notes, shared)

    @property
    def degraded(self) -> str:
        """Why it does not run as it was asked to; empty if it does."""
        return self._perceiver.degraded

    @property
    def cameras(self) -> tuple[Modality, ...]:
        """Cameras that it looks at, leading one first."""
        return self._perceiver.cameras

    @property
    def outputs(self) -> frozenset[Output]:
        """What it can be asked for."""
        return self._perceiver.outputs

    def warm_up(self, size: tuple[int, int]) -> None:
        """Measure which batches pay, the first time that one of its cameras asks."""
        with self._warming:
            if self._warm != size:
                self._perceiver.warm_up_batches(size, self._sharers)
                self._warm, self._degraded_at_first = size, self._perceiver.degraded

    def __call__(
        self, frames: FrameSet, *, wanted: Collection[Output] | None = None
    ) -> Perception:
        """Perceive one set of frames; waits for its turn, which is the stage `wait`."""
        asked_s = time.perf_counter()
        perception = self._thread.ask(_Request(self, frames, wanted))
        wait_s = time.perf_counter() - asked_s - sum(perception.stages_s.values())
        return replace(perception, stages_s={'wait': max(0.0, wait_s), **perception.stages_s})

    # For whoever shares it out

    @property
    def spoilt(self) -> bool:
        """True if it does not run any more as it did at first, for example on its GPU."""
        return self._perceiver.degraded != self._degraded_at_first

    @property
    def most(self) -> int:
        """Frames that go together at most."""
        return self._perceiver.batches.most

    @property
    def patience_s(self) -> float:
        """Seconds that waiting for a larger batch may take."""
        return self._perceiver.batches.patience_s

    @property
    def report(self) -> dict[str, Any]:
        """What diagnostics tell of the sharing."""
        bound_s = self._perceiver.batches.bound_s(self._sharers)
        numbers = sorted(dict(self._numbers).items())
        return {
            'batches': self._perceiver.batches.text,
            'calls by batch size': ', '.join(f'{n}: {calls}' for n, calls in numbers) or 'none',
            'latency bound [ms]': 'unknown' if bound_s is None else bound_s * 1e3,
            'answers later than that': self._late,
        }

    def serve(self, waiting: Sequence[_Request]) -> None:
        """Answer the oldest request, and those that go with it; in the network's thread.

        Frames that cannot be prepared are answered with their error, and keep nobody waiting.
        """
        batches = self._perceiver.batches
        asked = waiting if self.most > 1 else waiting[:1]
        ready = [request for request in asked if request.prepare(self._perceiver)]
        if not ready:
            return
        kind = ready[0].ready.kind
        alike = [request for request in ready if request.ready.kind == kind]
        together = alike[: batches.size(kind, len(alike))]
        try:
            results = self._perceiver.run([request.ready for request in together])
        except Exception as error:  # the other networks and cameras must go on
            results = [error] * len(together)
        self._note(together)
        for request, result in zip(together, results):
            if isinstance(result, Exception):
                request.answer.set_exception(result)
            else:
                request.answer.set_result(result)

    def _note(self, together: Sequence[_Request]) -> None:
        """Count a call that has ended."""
        self._numbers[len(together)] += 1
        bound_s = self._perceiver.batches.bound_s(self._sharers)
        if bound_s is not None:
            now_s = time.perf_counter()
            self._late += sum(now_s - request.asked_s > bound_s for request in together)
