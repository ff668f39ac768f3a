"""Does the node's memory stay flat? Send it many frames and watch its resident set.

    python benchmarks/memory.py --frames 10000

Images of changing content are published from this process; the node runs in another one. Prints
one line per tenth of the run: frames the node has processed, resident memory in MiB.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
import sys
import tempfile
import time
from typing import Any

import numpy as np

from thermal_perception.cli.processes import Children, node_command
from thermal_perception.cli.ros import executor_of, message, private_environment, qos, ros_node
from thermal_perception.encode import to_image
from thermal_perception.resources import shipped_weights

SIZE = (512, 640)
ALLOWED_MIB = 16.0


def resident_mib(pid: int) -> float:
    """Return the resident memory of a process."""
    pages = int(Path(f'/proc/{pid}/statm').read_text().split()[1])
    return pages * os.sysconf('SC_PAGE_SIZE') / 2**20


def watch(options: argparse.Namespace, logs: Path) -> list[tuple[int, float]]:
    """Publish the next frame when the last was answered; return (frames, MiB) samples."""
    environment = private_environment()
    os.environ.update(environment)
    rng = np.random.default_rng(0)
    images = [rng.integers(2**14, size=SIZE).astype(np.uint16) for _ in range(8)]
    answered = 0
    samples: list[tuple[int, float]] = []

    def count(_: Any) -> None:
        nonlocal answered
        answered += 1

    with Children(environment, logs) as children, ros_node('memory_watch') as node:
        kind = message('vision_msgs/msg/Detection2DArray')
        node.create_subscription(kind, '/fusion_detr/detections', count, qos(50, reliable=True))
        publisher = node.create_publisher(
            message('sensor_msgs/msg/Image'), '/thermal/image_raw', qos(5, reliable=True)
        )
        executor = executor_of(node)
        parameters = {'checkpoint': options.checkpoint, 'queue': 'all', 'score_threshold': 0.0}
        child = children.start('fusion_detr', node_command('fusion_detr', parameters))
        while not publisher.get_subscription_count():
            executor.spin_once(timeout_sec=0.2)
            children.check()
        step = max(1, options.frames // 10)
        while answered < options.frames:
            image = images[answered % len(images)]
            sent, waiting_for = time.monotonic(), answered
            publisher.publish(
                to_image(image, 'mono16', stamp_ns=time.time_ns(), frame_id='memory')
            )
            while answered == waiting_for and time.monotonic() - sent < 5.0:
                executor.spin_once(timeout_sec=1.0)
            children.check()
            if answered > waiting_for and answered % step == 0:
                samples.append((answered, resident_mib(child.process.pid)))
                print(f'{answered:6d} frames  {samples[-1][1]:8.1f} MiB', flush=True)
    return samples


def main() -> int:
    """Run, print the samples and say whether memory grew after the first tenth."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--frames', type=int, default=10_000)
    parser.add_argument('--checkpoint', default=None)
    options = parser.parse_args()
    weights = options.checkpoint or shipped_weights('fusion_detr_lite')
    options.checkpoint = str(Path(weights).resolve())
    with tempfile.TemporaryDirectory() as folder:
        samples = watch(options, Path(folder))
    growth = samples[-1][1] - samples[0][1]
    found = {'samples': samples, 'growth_MiB': growth, 'passed': growth < ALLOWED_MIB}
    print(json.dumps(found))
    return 0 if found['passed'] else 1


if __name__ == '__main__':
    sys.exit(main())
