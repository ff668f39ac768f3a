"""A loaded model on its device: frames in, result out, whatever the device does."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from statistics import median
from threading import Lock
import time
from typing import Any, NamedTuple, TYPE_CHECKING

import torch

from thermal_perception.backends import (
    choose_backend,
    make_backend,
    Origin,
    PYTORCH_BACKENDS,
)
from thermal_perception.backends.tracing import Signature
from thermal_perception.errors import BackendError
from thermal_perception.models.checkpoint import load_checkpoint
from thermal_perception.perceive.batches import Batches
from thermal_perception.perceive.info import ModelInfo
from thermal_perception.perceive.running import Running
from thermal_perception.perceive.system import black_frames, Limits
from thermal_perception.perceive.systems import make_system
from thermal_perception.postprocess import MIN_AREA_PX

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path

    from thermal_perception.backends import Backend
    from thermal_perception.models.checkpoint import Checkpoint
    from thermal_perception.perceive.system import Call
    from thermal_perception.types import FrameSet, Modality, Output, Perception

_RUNS = 5  # of which the median counts


class Ready(NamedTuple):
    """Frames that the network can take as they are.

    Attributes:
        kind: what those must have in common that go into one batch.
        frames: themselves.
        call: of the network.
        preprocess_s: seconds that it took to get there.
    """

    kind: Signature
    frames: FrameSet
    call: Call
    preprocess_s: float


class Perceiver(Running):
    """A loaded model. One call at a time: calls from several threads wait for each other.

    Attributes:
        info: what runs.
        batches: how many frames `run` should be given at a time, after `warm_up_batches`.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        device: str = 'auto',
        max_detections: int = 100,
        min_area_px: int = MIN_AREA_PX,
        fallback_to_cpu: bool = True,
        backend: str = 'torch',
        precision: str = 'auto',
        live: bool = False,
        artefact: Path | None = None,
        prepare_on: str = 'auto',
    ) -> None:
        """Build the network on the device; see `load` for the arguments."""
        raw = _takes_raw(prepare_on, device, backend)
        self._system = make_system(checkpoint, Limits(max_detections, min_area_px), raw=raw)
        model = checkpoint.make_model()
        record = checkpoint.info
        self.info = ModelInfo(
            record.model,
            record.class_names,
            checkpoint.fingerprint,
            sum(p.numel() for p in model.parameters()),
            record.input_size,
            record.score_threshold,
            self._system.strides,
            checkpoint.path,
            {k: getattr(record, k) for k in ('training', 'metrics', 'licence', 'source_commit')},
        )
        self.batches = Batches()
        self._fallback_to_cpu = fallback_to_cpu
        self._degraded = ''
        self._lock = Lock()
        origin = Origin(checkpoint.path, checkpoint.fingerprint, self._system.kinds, artefact)
        self._backend = self._start(
            model, device, backend=backend, precision=precision, origin=origin
        )
        self._backend.live = live
        # A lost GPU gives nothing back, so the network is built anew from what was read.
        self._spare = None if self._backend.device == 'cpu' else checkpoint

    @classmethod
    def load(
        cls,
        path: Path,
        *,
        device: str = 'auto',
        max_detections: int = 100,
        min_area_px: int = MIN_AREA_PX,
        fallback_to_cpu: bool = True,
        num_threads: int | None = None,
        backend: str = 'torch',
        precision: str = 'auto',
        live: bool = False,
        artefact: Path | None = None,
        prepare_on: str = 'auto',
    ) -> Perceiver:
        """Load a checkpoint.

        Args:
            path: `.safetensors` file.
            device: `auto`, `cpu`, `cuda` or `cuda:N`.
            max_detections: boxes per frame at most.
            min_area_px: of models that label pixels: regions of fewer get no box.
            fallback_to_cpu: go on on the CPU, once, when the device is missing, out of memory or
                lost.
            num_threads: CPU threads of PyTorch, for the whole process; None leaves its choice.
            backend: `torch`; `cuda_graph` on a GPU; `torch_compile`, `openvino` on a CPU or
                `onnxruntime`: faster, after seconds of compiling; or `auto`.
            precision: of the backend: `auto`, `fp32`, `bf16`, or `fp16` on a GPU.
            live: a robot waits for the results: after `warm_up`, no frame waits for a compiler.
            artefact: folder that `export` wrote; None takes that beside the checkpoint, if any.
            prepare_on: where pixels become the network's input: `host`, `device` (that of the
                network, which PyTorch then has to run), or `auto`, the device if it is a GPU.

        Raises:
            CheckpointError: if the file is missing, damaged, or not for this package.
            BackendError: if the device is not there and falling back is not allowed, or the
                backend cannot prepare images.
        """
        if num_threads is not None:
            torch.set_num_threads(num_threads)
        return cls(
            load_checkpoint(path),
            device=device,
            max_detections=max_detections,
            min_area_px=min_area_px,
            fallback_to_cpu=fallback_to_cpu,
            backend=backend,
            precision=precision,
            live=live,
            artefact=artefact,
            prepare_on=prepare_on,
        )

    @property
    def degraded(self) -> str:
        """Why the network does not run where it was asked to; empty if it does."""
        return self._degraded or super().degraded

    @property
    def cameras(self) -> tuple[Modality, ...]:
        """Cameras that the network looks at, leading one first."""
        return self._system.cameras

    @property
    def outputs(self) -> frozenset[Output]:
        """What it can be asked for."""
        return self._system.outputs

    def warm_up(self, size: tuple[int, int]) -> None:
        """Run on black 8-bit images of (height, width), so that no live frame waits.

        A compiled network is compiled for every set of results that somebody may want.
        """
        black = black_frames(self.cameras, size)
        live, self._backend.live = self._backend.live, False
        for wanted in self._system.warm_ups:
            self(black, wanted=wanted)
        self._backend.live = live

    def warm_up_batches(self, size: tuple[int, int], most: int) -> None:
        """Run on 1, 2, ... `most` black images of (height, width), and see what pays.

        It ends with the first number that does not: a compiled network needs a graph for each.

        Raises:
            BackendError: if the device failed, see a call.
        """
        black = black_frames(self.cameras, size)
        live, self._backend.live = self._backend.live, False
        self.batches = Batches()
        first, *others = self._system.warm_ups
        times_s: list[float] = []
        for number in range(1, most + 1):
            self._together_s(black, first, number)  # may have to compile
            runs = [self._together_s(black, first, number) for _ in range(_RUNS)]
            times_s.append(median(runs))
            if Batches(tuple(times_s)).most < number:
                break
        for wanted in others:
            for number in range(1, Batches(tuple(times_s)).most + 1):
                self._together_s(black, wanted, number)
        kinds = frozenset(self.prepare(black, wanted=w).kind for w in self._system.warm_ups)
        self.batches = Batches(tuple(times_s), kinds, self.batches.problem)
        self._backend.live = live

    def prepare(self, frames: FrameSet, *, wanted: Collection[Output] | None = None) -> Ready:
        """Bring frames to the network's input, for `run`.

        Raises:
            PreprocessError: if they cannot become it.
        """
        with self._lock:
            ready = self._prepared(frames, wanted)
            # The next frames come into the same buffers.
            inputs = tuple(None if x is None else x.clone() for x in ready.call.inputs)
            return ready._replace(call=ready.call._replace(inputs=inputs))

    def run(self, together: Sequence[Ready]) -> list[Perception | Exception]:
        """Perceive sets of frames of one kind in one call.

        If that fails each is run alone, and `batches` is for fewer from then on.

        Returns:
            For each the result, as a call gives it, or the error that a call raises.
        """
        with self._lock:
            if len(together) > 1:
                started = time.perf_counter()
                try:
                    found = self._run_batch(together)
                except Exception as error:  # whose fault it is shows when each runs alone
                    self.batches = self.batches.below(len(together), str(error))
                else:
                    model_s = time.perf_counter() - started
                    return [
                        _outcome(partial(self._finish, ready, found, model_s, index))
                        for index, ready in enumerate(together)
                    ]
            return [_outcome(partial(self._answer, ready)) for ready in together]

    def __call__(
        self, frames: FrameSet, *, wanted: Collection[Output] | None = None
    ) -> Perception:
        """Perceive one set of frames.

        Args:
            frames: what the cameras saw; a colour frame is registered to the thermal one.
            wanted: what to compute; None gives all that the model can.

        Returns:
            The best `max_detections` boxes, not thresholded, in pixels of the leading image, and
            what else the model makes.

        Raises:
            PreprocessError: if the frames cannot become model input.
            BackendError: if the device failed and falling back is not allowed or did not help.
        """
        with self._lock:
            return self._answer(self._prepared(frames, wanted))

    def _prepared(self, frames: FrameSet, wanted: Collection[Output] | None) -> Ready:
        started = time.perf_counter()
        call = self._system.prepare(frames, self._system.outputs if wanted is None else wanted)
        kind = Signature.of(call.inputs, call.options)
        return Ready(kind, frames, call, time.perf_counter() - started)

    def _answer(self, ready: Ready) -> Perception:
        started = time.perf_counter()
        found = self._run(ready.call)
        return self._finish(ready, found, time.perf_counter() - started)

    def _finish(self, ready: Ready, found: Any, model_s: float, index: int = 0) -> Perception:
        started = time.perf_counter()
        perception = self._system.finish(found, ready.call, ready.frames, index)
        stages = {
            'preprocess': ready.preprocess_s,
            'model': model_s,
            'postprocess': time.perf_counter() - started,
        }
        return replace(perception, stages_s=stages)

    def _together_s(self, frames: FrameSet, wanted: Collection[Output], number: int) -> float:
        """Return the seconds that so many of these frames take in one call."""
        started = time.perf_counter()
        for result in self.run([self.prepare(frames, wanted=wanted) for _ in range(number)]):
            if isinstance(result, Exception):
                raise result
        return time.perf_counter() - started

    def _start(self, model: torch.nn.Module, device: str, **choice: Any) -> Backend:
        network = self._system.network(model)
        try:
            return make_backend(network, device, self._system.select, **choice)
        except BackendError as error:
            if not (self._fallback_to_cpu and error.recoverable):
                raise
            self._degraded = f'running on the CPU: {error}'
            return make_backend(network, 'cpu', self._system.select)

    def _run(self, call: Call) -> Any:
        try:
            return self._backend(*call.inputs, **call.options)
        except BackendError as error:
            if not (self._fallback_to_cpu and error.recoverable and self._spare):
                raise
            model, self._spare = self._spare.make_model(), None
            network = self._system.network(model)  # which takes what was prepared for the other
            self._backend = make_backend(network, 'cpu', self._system.select)
            self._degraded = f'running on the CPU: {error}'
            self.batches = Batches(problem=f'measured on {self._degraded}')
            return self._backend(*call.inputs, **call.options)

    def _run_batch(self, together: Sequence[Ready]) -> Any:
        inputs = zip(*(ready.call.inputs for ready in together))
        joined = [None if parts[0] is None else torch.cat(parts) for parts in inputs]
        return self._backend(*joined, **together[0].call.options)


def _takes_raw(prepare_on: str, device: str, backend: str) -> bool:
    """Tell whether the network gets raw images, to prepare them where it runs; see `load`."""
    if prepare_on not in ('auto', 'host', 'device'):
        raise BackendError(f'prepare_on: found {prepare_on!r}, expected auto, host or device')
    on_gpu = device != 'cpu' and torch.cuda.is_available()
    if prepare_on == 'host' or (prepare_on == 'auto' and not on_gpu):
        return False
    chosen = choose_backend(device).backend if backend == 'auto' else backend
    if prepare_on == 'device' and chosen not in PYTORCH_BACKENDS:
        raise BackendError(
            f'prepare_on: found device with the backend {chosen}, expected auto or host, or a '
            f'backend of {", ".join(PYTORCH_BACKENDS)}'
        )
    return chosen in PYTORCH_BACKENDS


def _outcome(make: Callable[[], Perception]) -> Perception | Exception:
    try:
        return make()
    except Exception as error:  # for whoever asked for it
        return error
