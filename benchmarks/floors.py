"""How far each shipped network is from what this processor can multiply at best.

    python benchmarks/floors.py --threads 2

Per network: the work of one frame, what it would take at the speed of a large matrix product in
the same precision, measured here, and what it does take. Convolutions and matrix products are
counted; the rest (norms, activations, copies) moves memory and counts as nothing, so that no
network reaches its floor. Networks of vehicle and roadside have `emiff_latency.py`.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass
import json
from pathlib import Path
import sys
import time
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from thermal_perception.cli.benchmark.machine import describe_machine
from thermal_perception.cli.benchmark.scene import colour_image, thermal_counts
from thermal_perception.evaluation.image_files import thermal_frame
from thermal_perception.perceive import Perceiver
from thermal_perception.resources import shipped_weights
from thermal_perception.types import Frame, FrameSet

if TYPE_CHECKING:
    from collections.abc import Callable

MODELS = ('fusion_detr_lite', 'e2e_mfd_lite', 'rgbt_lite')
SIZES = {'rgbt_lite': (480, 640)}
RUNTIMES = (('torch', 'fp32'), ('openvino', 'fp32'), ('openvino', 'bf16'))
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
    """

    model: str
    runtime: str
    gflop: float
    weights_mb: float
    floor_ms: float
    median_ms: float
    p99_ms: float


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


def rows_of(model: str, calls: int, threads: int, peaks: dict[str, float]) -> list[Row]:
    """Measure one network on every run-time."""
    path, size = shipped_weights(model), SIZES.get(model, (512, 640))
    eager = Perceiver.load(path, device='cpu', num_threads=threads)
    frames = frames_for(eager, size)
    with FlopCounterMode(display=False) as counter:
        eager(frames)
    gflop = counter.get_total_flops() / 1e9
    values = path.stat().st_size / 2  # they are stored as float16
    rows = []
    for backend, precision in RUNTIMES:
        perceiver = Perceiver.load(
            path, device='cpu', num_threads=threads, backend=backend, precision=precision
        )
        for _ in range(3):
            perceiver(frames)
        times = [1e3 * perceiver(frames).stages_s['model'] for _ in range(calls)]
        median, p99 = np.percentile(times, (50, 99))
        rows.append(
            Row(
                model,
                perceiver.backend,
                gflop,
                values * (4 if precision == 'fp32' else 2) / 1e6,
                1e3 * gflop / peaks[precision],
                float(median),
                float(p99),
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
    parser.add_argument('--json', type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    machine = describe_machine()
    peaks = {'fp32': peak_gflops(torch.float32), 'bf16': peak_gflops(torch.bfloat16)}
    print(f'{machine["cpu"]}, {options.threads} threads, AMX: {machine["amx"]}')
    told = ', '.join(f'{speed:.0f} GFLOP/s in {name}' for name, speed in peaks.items())
    print(f'matrix products: {told}')
    print(
        'model             runtime          GFLOP  weights   floor     median        p99  x floor'
    )
    rows = []
    for model in options.model or MODELS:
        for row in rows_of(model, options.calls, options.threads, peaks):
            rows.append(row)
            print(
                f'{row.model:17} {row.runtime:14} {row.gflop:7.2f} {row.weights_mb:5.1f} MB '
                f'{row.floor_ms:5.1f} ms {row.median_ms:7.1f} ms {row.p99_ms:7.1f} ms '
                f'{row.median_ms / row.floor_ms:7.1f}',
                flush=True,
            )
    if options.json is not None:
        content = {'machine': machine, 'threads': options.threads, 'peaks_gflops': peaks}
        content |= {'rows': [asdict(row) for row in rows]}
        options.json.write_text(json.dumps(content, indent=1))
    return 0


if __name__ == '__main__':
    sys.exit(main())
