"""The network alone, again and again on one prepared frame: what a node can reach at best."""

from __future__ import annotations

import argparse
from contextlib import suppress
from itertools import count
import json
from pathlib import Path
import signal
import time

from thermal_perception.backends import choose_device, TorchBackend
from thermal_perception.cli.benchmark.scene import thermal_counts
from thermal_perception.cli.processes import die_with_parent
from thermal_perception.config import from_mapping
from thermal_perception.evaluation.dataset import thermal_frame
from thermal_perception.memory import keep_freed_memory
from thermal_perception.models.checkpoint import load_checkpoint
from thermal_perception.preprocess import Preprocess, PreprocessConfig

_WARM_UP = 5


def main() -> None:
    """Run; print name, precision and device as JSON, then the milliseconds of each call."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--checkpoint', type=Path, required=True)
    parser.add_argument('--device', required=True)
    parser.add_argument('--frames', type=int, help='default: until ended')
    parser.add_argument('--size', type=int, nargs=2, required=True, help='height and width')
    options = parser.parse_args()
    die_with_parent(signal.SIGKILL)  # it may be paused then
    keep_freed_memory()
    checkpoint = load_checkpoint(options.checkpoint)
    preprocess = Preprocess(
        from_mapping(PreprocessConfig, checkpoint.info.preprocess, where=str(options.checkpoint))
    )
    prepared = preprocess(thermal_frame(thermal_counts(0, tuple(options.size)), valid_bits=14))
    backend = TorchBackend(checkpoint.make_model(), choose_device(options.device))
    for _ in range(_WARM_UP):
        backend(prepared.image, prepared.padding)
    what = {'name': backend.name, 'precision': backend.precision, 'device': backend.device}
    print(json.dumps(what), flush=True)
    with suppress(KeyboardInterrupt):
        for _ in count() if options.frames is None else range(options.frames):
            started = time.perf_counter()
            backend(prepared.image, prepared.padding)
            print(1000 * (time.perf_counter() - started), flush=True)


if __name__ == '__main__':
    main()
