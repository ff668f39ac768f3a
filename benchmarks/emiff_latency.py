"""What both parts of EMIFF take for an image, by what runs their networks.

    python benchmarks/emiff_latency.py [--checkpoint FILE] [--frames 30] [--threads 2]

One line per part and backend, the vehicle's with features of the roadside and alone: median and
99th percentile of the stages and of all together, and images a second by the median. Without a
checkpoint the network is `emiff_lite` with random weights. Everything is compiled before the first
image is timed; the frames are noise, one size of 1080x1920, seen from a vehicle that drives. Then
a line of JSON.

Fails if the vehicle with features gets less than 3 images a second with the best backend.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
import sys
from typing import Any, NamedTuple, TYPE_CHECKING

import numpy as np
from random_network import random_checkpoint
import torch

from thermal_perception.errors import BackendError
from thermal_perception.geometry import Camera
from thermal_perception.models.checkpoint import Checkpoint, load_checkpoint
from thermal_perception.perceive.cooperative import (
    OwnView,
    ReceivedView,
    RoadsidePerceiver,
    VehiclePerceiver,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SIZE = (1080, 1920)
CAMERA = Camera(np.array([[1500.0, 0, 959.5], [0, 1500, 539.5], [0, 0, 1]]), np.zeros(0), SIZE)
T_EGO = np.array([[0.0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0], [0, 0, 0, 1]])
# 5 m above the road, 50 m ahead, looking back.
T_POLE = np.array([[0.0, 1, 0, 0], [0, 0, -1, 5], [-1, 0, 0, 50], [0, 0, 0, 1]])
STEP_M = 0.5
RUNS = (('torch', 'fp32'), ('openvino', 'fp32'), ('openvino', 'bf16'))
STAGES = ('preprocess', 'model', 'postprocess')
WANTED_HZ = 3.0


class Pair(NamedTuple):
    """Both parts of a checkpoint on one backend."""

    roadside: RoadsidePerceiver
    vehicle: VehiclePerceiver


def pairs(checkpoint: Checkpoint) -> Iterator[Pair]:
    """Make and compile both parts on every backend that is there."""
    for backend, precision in RUNS:
        options = {'device': 'cpu', 'backend': backend, 'precision': precision}
        try:
            pair = Pair(
                RoadsidePerceiver(checkpoint, **options), VehiclePerceiver(checkpoint, **options)
            )
        except BackendError as error:
            print(f'{backend} {precision}: {error}', file=sys.stderr)
            continue
        for part in pair:
            part.warm_up()
            if part.degraded:
                raise SystemExit(f'{backend} {precision}: {part.degraded}')
        yield pair


def timed(pair: Pair, frames: int) -> dict[str, list[Mapping[str, float]]]:
    """Return the stages of each image: at the roadside, in the vehicle with features and alone."""
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 255, (*SIZE, 3), np.uint8) for _ in range(4)]
    roadside, vehicle = pair
    level = roadside.levels[len(roadside.levels) // 2]
    found: dict[str, list[Mapping[str, float]]] = {'roadside': [], 'together': [], 'alone': []}
    for number in range(frames):
        image = images[number % len(images)]
        views = roadside.at_levels(image[::-1], CAMERA, roadside.levels)
        pole = T_POLE.copy()
        pole[2, 3] -= STEP_M * number
        own = OwnView(image, CAMERA, T_EGO)
        sent = ReceivedView(views[level].features, level, CAMERA.K, SIZE, *views[level][1:3], pole)
        found['roadside'].append(views[level].stages_s)
        found['together'].append(vehicle(own, sent).stages_s)
        found['alone'].append(vehicle(own, None).stages_s)
    return found


def summary(rows: list[Mapping[str, float]]) -> dict[str, Any]:
    """Return median and 99th percentile of stages and their sum, and images a second."""
    times_ms = {name: [1e3 * row.get(name, 0.0) for row in rows] for name in STAGES}
    times_ms['all'] = [1e3 * sum(row.values()) for row in rows]
    values = {
        name: dict(zip(('median', 'p99'), np.percentile(times, (50, 99)).round(2).tolist()))
        for name, times in times_ms.items()
    }
    return {'ms': values, 'hz': round(1e3 / values['all']['median'], 2)}


def line(part: str, backend: str, found: dict[str, Any]) -> str:
    """Return a row of the table."""
    cells = (f'{t["median"]:7.1f} ({t["p99"]:7.1f})' for t in found['ms'].values())
    return f'{part:9} {backend:14} {"  ".join(cells)}  {found["hz"]:6.1f}'


def main() -> int:
    """Compile, measure and print; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--checkpoint', type=Path)
    parser.add_argument('--frames', type=int, default=30)
    parser.add_argument('--threads', type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    checkpoint = (
        load_checkpoint(options.checkpoint)
        if options.checkpoint
        else random_checkpoint('emiff_lite')
    )
    compiled = list(pairs(checkpoint))
    print('all compiled', file=sys.stderr, flush=True)
    heads = '  '.join(f'{name:>17}' for name in (*STAGES, 'all'))
    print(f'{"part":9} {"network":14} {heads}      Hz   [ms: median (p99)]', flush=True)
    found: dict[str, dict[str, Any]] = {}
    for pair in compiled:
        for part, rows in timed(pair, options.frames).items():
            values = summary(rows)
            found.setdefault(part, {})[pair.vehicle.backend] = values
            print(line(part, pair.vehicle.backend, values), flush=True)
    best_hz = max(values['hz'] for values in found['together'].values())
    print(
        json.dumps(
            {
                'fingerprint': checkpoint.fingerprint,
                'frames': options.frames,
                'threads': options.threads,
                'parts': found,
                'passed': best_hz >= WANTED_HZ,
            }
        )
    )
    return int(best_hz < WANTED_HZ)


if __name__ == '__main__':
    sys.exit(main())
