"""What the label map and its overlay take for one 640x480 image, in one thread.

    python benchmarks/label_map.py

One line per step, from the logits of a network with cells of 8 pixels: median and 99th percentile
of the time, and of the processor time in it; on a busy machine the first is longer. Beside the
label map stands the plain way to it, which enlarges the logits of all classes to full size.
`edges` is the worst case: logits of noise, hardly two neighbouring cells alike.

Fails if label map and overlay of the street together take more than 6 ms of processor time in the
median, or if the plain way gives other labels on more than one pixel in ten thousand.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any, TYPE_CHECKING

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from thermal_perception.class_sets import MFNET
from thermal_perception.encode import LabelPainter
from thermal_perception.postprocess import label_map
from thermal_perception.types import SegmentationMask

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

SIZE = (480, 640)
CELL = 8
WANTED_MS = 6.0
MAY_DIFFER = 1e-4


def street() -> torch.Tensor:
    """Return logits (9, 60, 80) of a scene with cars, people and kerbs on a ground of nothing."""
    labels = np.zeros(SIZE, np.uint8)
    cv2.rectangle(labels, (0, 330), (640, 350), 4, cv2.FILLED)
    for number in range(5):
        x = 40 + 125 * number
        cv2.ellipse(labels, (x, 290), (55, 35), 0, 0, 360, 1, cv2.FILLED)
        cv2.ellipse(labels, (x + 62, 280), (9, 40), 0, 0, 360, 2, cv2.FILLED)
        cv2.ellipse(labels, (x + 20, 400), (18, 22), 0, 0, 360, 3, cv2.FILLED)
    wanted = F.one_hot(torch.from_numpy(labels).long(), len(MFNET.names)).permute(2, 0, 1)
    shares = F.avg_pool2d(wanted.float(), CELL)
    noise = torch.randn(shares.shape, generator=torch.Generator().manual_seed(0))
    return 8 * shares + 0.3 * noise


def edges() -> torch.Tensor:
    """Return logits (9, 60, 80) of noise."""
    size = (len(MFNET.names), SIZE[0] // CELL, SIZE[1] // CELL)
    return torch.randn(size, generator=torch.Generator().manual_seed(0))


def plain(logits: torch.Tensor) -> NDArray[np.uint8]:
    """Return the labels of logits enlarged to full size."""
    full = F.interpolate(logits[None], size=SIZE, mode='bilinear')[0]
    return np.asarray(full.max(0).indices.to(torch.uint8).numpy())


def times_ms(call: Callable[[], Any], calls: int) -> NDArray[np.float64]:
    """Return (calls, 2), what each call took: time, and the processor's."""
    call()
    found = []
    for _ in range(calls):
        started, started_cpu = time.perf_counter(), time.process_time()
        call()
        found.append((time.perf_counter() - started, time.process_time() - started_cpu))
    return 1e3 * np.array(found)


def report(name: str, times: NDArray[np.float64]) -> float:
    """Print a line; returns the median of the processor's time, milliseconds."""
    (median, median_cpu), (p99, p99_cpu) = np.percentile(times, (50, 99), axis=0)
    print(
        f'{name:34} {median:8.2f} {p99:8.2f} ms   {median_cpu:8.2f} {p99_cpu:8.2f} ms', flush=True
    )
    return float(median_cpu)


def main() -> int:
    """Measure; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--calls', type=int, default=300)
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    counts = np.random.default_rng(0).normal(7500, 300, SIZE)
    images = {'8 bit': (counts / 60).astype(np.uint8), '16 bit': counts.astype(np.uint16)}
    painter = LabelPainter(MFNET.names)
    good = True
    print(f'{"":34} {"median":>8} {"p99":>8}      {"median":>8} {"p99":>8}    of the processor')
    for name, logits in (('street', street()), ('edges', edges())):
        labels = label_map(logits, CELL, SIZE, SIZE)
        mask = SegmentationMask(labels, MFNET.names, 0, '')
        differing = float((labels != plain(logits)).mean())
        ours = times_ms(lambda x=logits: label_map(x, CELL, SIZE, SIZE), options.calls)
        report(f'{name}: label map', ours)
        report(f'{name}: the plain way', times_ms(lambda x=logits: plain(x), options.calls // 3))
        for depth, image in images.items():
            paint = times_ms(lambda x=image, m=mask: painter.paint(x, m), options.calls)
            report(f'{name}: overlay, {depth}', paint)
            both = report(f'{name}: label map and overlay, {depth}', ours + paint)
            good &= name == 'edges' or both <= WANTED_MS
        print(f'{name}: the plain way differs on {differing:.6f} of the pixels')
        good &= differing <= MAY_DIFFER
    print(f'street: at most {WANTED_MS:g} ms together: {"met" if good else "missed"}')
    return int(not good)


if __name__ == '__main__':
    sys.exit(main())
