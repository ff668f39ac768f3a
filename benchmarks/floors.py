"""How far each shipped network is from what this processor can multiply at best.

    python benchmarks/floors.py --threads 2

Per network: the work of one frame, what it would take at the speed of a large matrix product in
the same precision, measured here, and what it does take. Convolutions and matrix products are
counted; the rest (norms, activations, copies) moves memory and counts as nothing, so that no
network reaches its floor. Run-times take turns of five calls, so that what else the machine does
hits all alike. Networks without shipped weights have random ones. Networks of vehicle and roadside
have `emiff_latency.py`.

`--int8` adds OpenVINO with int8 to networks of one camera, calibrated by images made up here: for
speed it is the same whatever the images. Its floor is that of bf16.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass
import json
from pathlib import Path
import sys
from tempfile import TemporaryDirectory
import time
from typing import TYPE_CHECKING

import numpy as np
from random_network import random_checkpoint
import torch
from torch.utils.flop_counter import FlopCounterMode

from thermal_perception.cli.benchmark.machine import describe_machine
from thermal_perception.cli.benchmark.scene import colour_image, thermal_counts
from thermal_perception.errors import BackendError, CheckpointError
from thermal_perception.evaluation.image_files import thermal_frame
from thermal_perception.models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from thermal_perception.perceive import Perceiver
from thermal_perception.perceive.export import export
from thermal_perception.resources import shipped_weights
from thermal_perception.types import Frame, FrameSet

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from torch import nn

    from thermal_perception.types import Modality

MODELS = ('fusion_detr_lite', 'fusion_detr_r50', 'e2e_mfd_lite', 'rgbt_lite')
SIZES = {'rgbt_lite': (480, 640)}
RUNTIMES = (
    ('torch', 'fp32'),
    ('torch_compile', 'bf16'),
    ('onnxruntime', 'fp32'),
    ('openvino', 'fp32'),
    ('openvino', 'bf16'),
)
_TURN = 5  # calls
_CALIBRATING = 8  # images
_BYTES = {'fp32': 4, 'bf16': 2, 'int8': 1}
_SIDE = 2048  # of the matrices: large enough for full speed, small enough for a second


@dataclass(frozen=True)
class Row:
    """One network on one run-time.

    Attributes:
        model: its name.
        runtime: backend and precision.
        gflop: of a frame; a multiplication and an addition are two.
        weights_mb: what must be read at least once, in this precision.
        floor_ms: at the measured speed of a matrix product.
        median_ms: measured, the network alone.
        p99_ms: measured.
        speed: of eager PyTorch's median, how many times as fast.
    """

    model: str
    runtime: str
    gflop: float
    weights_mb: float
    floor_ms: float
    median_ms: float
    p99_ms: float
    speed: float


def seconds_of(call: Callable[[], object], calls: int) -> list[float]:
    """Return what each of `calls` calls took."""
    found = []
    for _ in range(calls):
        started = time.perf_counter()
        call()
        found.append(time.perf_counter() - started)
    return found


def peak_gflops(dtype: torch.dtype) -> float:
    """Return 10^9 operations a second of a large matrix product, the best of ten."""
    a, b = (torch.randn(_SIDE, _SIDE).to(dtype) for _ in range(2))
    out = torch.empty(_SIDE, _SIDE, dtype=dtype)
    torch.mm(a, b, out=out)
    return 2 * _SIDE**3 / min(seconds_of(lambda: torch.mm(a, b, out=out), 10)) / 1e9


def frames_for(perceiver: Perceiver, size: tuple[int, int]) -> FrameSet:
    """Return a frame of each camera that the network looks at."""
    thermal = thermal_frame(thermal_counts(0, size), valid_bits=14)
    rgb = Frame(colour_image(0, size), 0, '', 'rgb') if 'rgb' in perceiver.cameras else None
    return FrameSet(thermal, rgb)


class _Frozen(Checkpoint):
    """Weights without gradients, which the counter of operations stumbles on."""

    def make_model(self) -> nn.Module:
        return super().make_model().requires_grad_(False)


def checkpoint_of(model: str) -> Checkpoint:
    """Return shipped weights, or random ones."""
    try:
        return load_checkpoint(shipped_weights(model))
    except CheckpointError:
        return random_checkpoint(model)


def in_int8(model: str, size: tuple[int, int]) -> Perceiver:
    """Return a network of one camera in int8 numbers."""

    def seen(cameras: Collection[Modality]) -> Iterator[FrameSet]:
        for index in range(_CALIBRATING):
            yield FrameSet(thermal_frame(thermal_counts(index, size), valid_bits=14))

    checkpoint = checkpoint_of(model)
    with TemporaryDirectory() as folder:
        path = Path(folder, f'{model}.safetensors')
        save_checkpoint(path, checkpoint.make_model().state_dict(), checkpoint.info)
        export(path, 'openvino', size=size, calibrate=seen)
        perceiver = Perceiver.load(path, device='cpu', backend='openvino', precision='int8')
        perceiver.warm_up(size)  # reads the graph
    return perceiver


def perceivers_of(model: str, threads: int) -> list[Perceiver]:
    """Return a network on every run-time that is there, eager PyTorch first."""
    checkpoint = _Frozen(**vars(checkpoint_of(model)))
    torch.set_num_threads(threads)
    found = []
    for backend, precision in RUNTIMES:
        try:
            perceiver = Perceiver(checkpoint, device='cpu', backend=backend, precision=precision)
        except BackendError as error:
            print(f'{model} {backend} {precision}: {error}', file=sys.stderr)
            continue
        found.append(perceiver)
    return found


def rows_of(
    model: str, calls: int, threads: int, peaks: dict[str, float], *, int8: bool = False
) -> list[Row]:
    """Measure one network on every run-time, in turns of a few calls."""
    size = SIZES.get(model, (512, 640))
    perceivers = perceivers_of(model, threads)
    if int8 and perceivers[0].cameras == ('thermal',):
        perceivers.append(in_int8(model, size))
    frames = frames_for(perceivers[0], size)
    with FlopCounterMode(display=False) as counter:
        perceivers[0](frames)
    gflop = counter.get_total_flops() / 1e9
    parameters = perceivers[0].info.parameters
    times: list[list[float]] = [[] for _ in perceivers]
    for turn in range(1 + -(-calls // _TURN)):
        for perceiver, taken in zip(perceivers, times):
            perceiver(frames)  # whoever ran before has emptied the caches
            for _ in range(_TURN if turn else 2):
                ms = 1e3 * perceiver(frames).stages_s['model']
                if turn:
                    taken.append(ms)
    eager = float(np.median(times[0]))
    rows = []
    for perceiver, taken in zip(perceivers, times):
        precision = 'fp32' if 'fp32' in perceiver.backend else 'bf16'
        median, p99 = np.percentile(taken, (50, 99))
        rows.append(
            Row(
                model,
                perceiver.backend,
                gflop,
                parameters * _BYTES[perceiver.backend.split()[-1]] / 1e6,
                1e3 * gflop / peaks[precision],
                float(median),
                float(p99),
                eager / float(median),
            )
        )
    return rows


def main() -> int:
    """Measure all; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--calls', type=int, default=50)
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument(
        '--model', action='append', choices=MODELS, help='repeatable; default: all'
    )
    parser.add_argument('--int8', action='store_true', help='OpenVINO with int8, too')
    parser.add_argument('--json', type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    machine = describe_machine()
    peaks = {'fp32': peak_gflops(torch.float32), 'bf16': peak_gflops(torch.bfloat16)}
    print(f'{machine["cpu"]}, {options.threads} threads, AMX: {machine["amx"]}')
    told = ', '.join(f'{speed:.0f} GFLOP/s in {name}' for name, speed in peaks.items())
    print(f'matrix products: {told}')
    print(
        'model             runtime               GFLOP  weights      floor     median        p99 '
        ' x floor  x eager'
    )
    rows = []
    for model in options.model or MODELS:
        found = rows_of(model, options.calls, options.threads, peaks, int8=options.int8)
        for row in found:
            rows.append(row)
            print(
                f'{row.model:17} {row.runtime:19} {row.gflop:7.2f} {row.weights_mb:5.1f} MB '
                f'{row.floor_ms:6.1f} ms {row.median_ms:7.1f} ms {row.p99_ms:7.1f} ms '
                f'{row.median_ms / row.floor_ms:8.1f} {row.speed:8.2f}',
                flush=True,
            )
    if options.json is not None:
        content = {'machine': machine, 'threads': options.threads, 'peaks_gflops': peaks}
        content |= {'rows': [asdict(row) for row in rows]}
        options.json.write_text(json.dumps(content, indent=1))
    return 0


if __name__ == '__main__':
    sys.exit(main())
