"""The network alone, again and again on one prepared frame: what a node can reach at best."""

from __future__ import annotations

import argparse
from contextlib import suppress
import json
from pathlib import Path
import signal
import sys
import time

from thermal_perception.backends import make_backend
from thermal_perception.cli.benchmark.scene import colour_image, thermal_counts
from thermal_perception.cli.processes import die_with_parent
from thermal_perception.evaluation.image_files import thermal_frame
from thermal_perception.memory import keep_freed_memory
from thermal_perception.models.checkpoint import load_checkpoint
from thermal_perception.perceive.systems import make_system
from thermal_perception.types import Frame, FrameSet

_WARM_UP = 5


def main() -> None:
    """Print name, precision and device as JSON, then the milliseconds of each call."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--checkpoint', type=Path, required=True)
    parser.add_argument('--device', required=True)
    parser.add_argument('--backend', default='torch')
    parser.add_argument('--precision', default='auto')
    parser.add_argument('--wanted', help='the output to make, default: all')
    parser.add_argument('--size', type=int, nargs=2, required=True, help='height and width')
    options = parser.parse_args()
    die_with_parent(signal.SIGKILL)  # it may be paused then
    keep_freed_memory()
    checkpoint = load_checkpoint(options.checkpoint)
    system = make_system(checkpoint)
    size = tuple(options.size)
    thermal = thermal_frame(thermal_counts(0, size), valid_bits=14)
    rgb = Frame(colour_image(0, size), 0, '', 'rgb') if 'rgb' in system.cameras else None
    wanted = {options.wanted} if options.wanted else system.outputs
    call = system.prepare(FrameSet(thermal, rgb), wanted)
    backend = make_backend(
        checkpoint.make_model(),
        options.device,
        system.select,
        backend=options.backend,
        precision=options.precision,
    )
    for _ in range(_WARM_UP):
        backend(*call.inputs, **call.options)
    if backend.problem:
        sys.exit(backend.problem)
    what = {'name': backend.name, 'precision': backend.precision, 'device': backend.device}
    print(json.dumps(what), flush=True)
    with suppress(KeyboardInterrupt):
        while True:
            started = time.perf_counter()
            backend(*call.inputs, **call.options)
            print(1000 * (time.perf_counter() - started), flush=True)


if __name__ == '__main__':
    main()
