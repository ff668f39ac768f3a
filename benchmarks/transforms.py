"""What each thermal transform takes for one 640x512 image.

    python benchmarks/transforms.py

One line per transform and type of image: median and 99th percentile. Fails if a median is above
1 ms, other than that of CLAHE.
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np

from thermal_perception.preprocess import make_thermal_transform, THERMAL_TRANSFORMS

SIZE = (512, 640)
WANTED_MS = 1.0
PARAMETERS = {
    'fullscale': {'bits': 14},
    'window': {'low': 1000.0, 'high': 9000.0},
    'dataset_window': {'low': 1000.0, 'high': 9000.0},
}


def times_ms(name: str, image: np.ndarray, calls: int) -> list[float]:
    """Return what each of `calls` calls took."""
    transform = make_thermal_transform(name, **PARAMETERS.get(name, {}))
    out = np.empty(SIZE, np.float32)
    transform(image, out=out)
    found = []
    for _ in range(calls):
        started = time.perf_counter()
        transform(image, out=out)
        found.append(1e3 * (time.perf_counter() - started))
    return found


def main() -> int:
    """Measure every transform on every type it takes; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--calls', type=int, default=200)
    options = parser.parse_args()
    counts = np.random.default_rng(0).normal(5000, 800, SIZE)
    images = {
        'uint8': np.clip(counts / 40, 0, 255).astype(np.uint8),
        'uint16': counts.astype(np.uint16),
        'float32': counts.astype(np.float32),
    }
    slow = False
    print('transform        image      median        p99')
    for name in THERMAL_TRANSFORMS:
        for dtype in ('uint8',) if name == 'identity8' else images:
            median, p99 = np.percentile(times_ms(name, images[dtype], options.calls), (50, 99))
            slow |= median > WANTED_MS and name != 'clahe'
            print(f'{name:15}  {dtype:8} {median:7.3f} ms {p99:7.3f} ms', flush=True)
    return int(slow)


if __name__ == '__main__':
    sys.exit(main())
