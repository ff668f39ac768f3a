"""How many pictures a second the simulated thermal camera takes, ground truth included.

    python benchmarks/simulation.py --frames 60

One line per preset, weather and depth: median and 99th percentile per picture, and the rate.
Fails if a median rate is below 20 Hz.
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np

from thermal_perception.simulation import CONDITIONS, default_rig, PRESETS, render, Scene

WANTED_HZ = 20.0
INPUT_HZ = 30.0


def picture_times_ms(preset: str, condition: str, bits: int, frames: int) -> list[float]:
    """Return what each of `frames` successive 640x512 pictures of one drive took."""
    scene, camera = Scene(preset, condition, seed=0), default_rig(preset).thermal
    render(scene, 0.0, camera, bits=bits)
    times_ms = []
    for number in range(frames):
        started = time.perf_counter()
        render(scene, number / INPUT_HZ, camera, bits=bits)
        times_ms.append(1e3 * (time.perf_counter() - started))
    return times_ms


def main() -> int:
    """Measure every preset and weather; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--frames', type=int, default=60)
    options = parser.parse_args()
    slowest_hz = float('inf')
    print('preset  weather  bits   median      p99     rate')
    for preset in PRESETS:
        for number, condition in enumerate(CONDITIONS):
            bits = (8, 16)[number % 2]
            median, p99 = np.percentile(
                picture_times_ms(preset, condition, bits, options.frames), (50, 99)
            )
            slowest_hz = min(slowest_hz, 1e3 / median)
            print(
                f'{preset:7} {condition:8} {bits:4} {median:6.1f} ms {p99:6.1f} ms '
                f'{1e3 / median:5.1f} Hz',
                flush=True,
            )
    return 0 if slowest_hz >= WANTED_HZ else 1


if __name__ == '__main__':
    sys.exit(main())
