"""Several cameras in one process around one network, against a process for each.

    python benchmarks/cameras.py --cameras 1,2,3,6 --backend openvino

This process plays the cameras: it publishes images at `--rate` for each and notes when they are
answered. Prints for each number of cameras and each way how many answers came a second, of all
cameras together, how old they were (from stamp to arrival, median and 99th percentile), and the
ratio of the two ways.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
import sys
import tempfile
import time
from typing import Any, NamedTuple

import numpy as np

from thermal_perception.cli.processes import Children, command_of
from thermal_perception.cli.ros import executor_of, message, private_environment, qos, ros_node
from thermal_perception.encode import to_image
from thermal_perception.resources import shipped_weights

SIZE = (512, 640)
NODE = 'fusion_detr'
START_S = 300.0
WAYS = ('shared', 'apart')


class Turn(NamedTuple):
    """What one way to run so many cameras gave.

    Attributes:
        hz: answers a second, of all cameras together.
        median_ms: age of the answers.
        p99_ms: the same, 99th percentile.
        least_hz: answers a second of the camera with fewest.
        notes: what the shared network tells of itself; empty for processes apart.
    """

    hz: float
    median_ms: float
    p99_ms: float
    least_hz: float
    notes: str


class Cameras:
    """Publishes images of N cameras and notes the answers.

    Attributes:
        ages_s: of the answers of each camera.
        notes: what the diagnostics tell of batches.
    """

    def __init__(self, node: Any, number: int) -> None:
        """Join the graph."""
        rng = np.random.default_rng(0)
        self.images = [rng.integers(2**14, size=SIZE).astype(np.uint16) for _ in range(8)]
        self.ages_s: list[list[float]] = [[] for _ in range(number)]
        self.notes = ''
        self._sent = 0
        self._executor = executor_of(node)
        kind = message('vision_msgs/msg/Detection2DArray')
        image = message('sensor_msgs/msg/Image')
        self._publishers = []
        for i in range(number):
            topic = f'/camera_{i}/{NODE}/detections'
            node.create_subscription(kind, topic, self._taker(i), qos(50, reliable=True))
            topic = f'/camera_{i}/thermal/image_raw'
            self._publishers.append(node.create_publisher(image, topic, qos(5, reliable=False)))
        status = message('diagnostic_msgs/msg/DiagnosticArray')
        node.create_subscription(status, '/diagnostics', self._take_status, 10)

    def play(self, rate_hz: float, seconds: float, children: Children) -> None:
        """Publish an image of every camera `rate_hz` times a second."""
        started = time.monotonic()
        due = started
        while time.monotonic() - started < seconds:
            for publisher in self._publishers:
                image = self.images[self._sent % len(self.images)]
                stamp_ns = time.time_ns()
                publisher.publish(to_image(image, 'mono16', stamp_ns=stamp_ns, frame_id='camera'))
                self._sent += 1
            due += 1 / rate_hz
            while (left := due - time.monotonic()) > 0:
                self._executor.spin_once(timeout_sec=left)
            children.check()

    def _taker(self, camera: int) -> Any:
        def take(answer: Any) -> None:
            stamp_ns = answer.header.stamp.sec * 10**9 + answer.header.stamp.nanosec
            self.ages_s[camera].append((time.time_ns() - stamp_ns) * 1e-9)

        return take

    def _take_status(self, report: Any) -> None:
        for status in report.status:
            values = {item.key: item.value for item in status.values}
            if 'calls by batch size' in values:
                self.notes = f'{values["batches"]}; calls of {values["calls by batch size"]}'


def take_turn(options: argparse.Namespace, way: str, number: int, logs: Path) -> Turn:
    """Run so many cameras for a while."""
    environment = private_environment()
    os.environ.update(environment)
    with Children(environment, logs) as children, ros_node('cameras') as node:
        cameras = Cameras(node, number)
        start(children, options, way, number)
        end = time.monotonic() + START_S
        while not all(cameras.ages_s):
            if time.monotonic() > end:
                raise TimeoutError(f'{way}: not all of {number} cameras answered in {START_S} s')
            cameras.play(2.0, 0.5, children)
        cameras.play(options.rate, 1.0, children)  # until all are at work
        for ages_s in cameras.ages_s:
            ages_s.clear()
        cameras.play(options.rate, options.seconds, children)
    if not any(cameras.ages_s):
        raise TimeoutError(f'{way}: {number} cameras had no answer in {options.seconds} s')
    ages_ms = np.concatenate(cameras.ages_s) * 1e3
    median_ms, p99_ms = np.percentile(ages_ms, (50, 99))
    least = min(map(len, cameras.ages_s))
    return Turn(
        len(ages_ms) / options.seconds,
        float(median_ms),
        float(p99_ms),
        least / options.seconds,
        cameras.notes,
    )


def start(children: Children, options: argparse.Namespace, way: str, number: int) -> None:
    """Start the nodes of so many cameras, in one process or in one each."""
    parameters = {
        'checkpoint': options.checkpoint,
        'backend': options.backend,
        'device': options.device,
        'num_threads': options.num_threads,
        'warm_up_size': list(SIZE),
    }
    arguments = [f for k, v in parameters.items() for f in ('-p', f'{k}:={json.dumps(v)}')]
    if way == 'shared' and number > 1:
        command = command_of('run', NODE, '--cameras', str(number), '--ros-args', *arguments)
        children.start('shared', command)
        return
    for i in range(number):
        namespace = ['-r', f'__ns:=/camera_{i}']
        command = command_of('run', NODE, '--ros-args', *namespace, *arguments)
        children.start(f'apart_{i}', command)


def main() -> int:
    """Run all turns, print them, and the ratios as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--cameras', default='1,2,3,6', help='numbers, with commas between')
    parser.add_argument('--backend', default='torch')
    parser.add_argument('--device', default='auto')
    parser.add_argument('--num-threads', type=int, default=0)
    parser.add_argument('--checkpoint', default=None)
    parser.add_argument('--rate', type=float, default=30.0, help='images a second of each camera')
    parser.add_argument('--seconds', type=float, default=20.0)
    parser.add_argument('--turns', type=int, default=3, help='of each way, alternating')
    options = parser.parse_args()
    weights = options.checkpoint or shipped_weights('fusion_detr_lite')
    options.checkpoint = str(Path(weights).resolve())
    found: dict[str, Any] = {}
    for number in map(int, options.cameras.split(',')):
        turns: dict[str, list[Turn]] = {way: [] for way in WAYS}
        for _ in range(options.turns):
            for way in WAYS:
                with tempfile.TemporaryDirectory() as folder:
                    turn = take_turn(options, way, number, Path(folder))
                turns[way].append(turn)
                print(
                    f'{number} cameras {way:7}{turn.hz:8.1f} Hz (least {turn.least_hz:.1f})  age '
                    f'{turn.median_ms:7.1f} ms, p99 {turn.p99_ms:7.1f} ms  {turn.notes}',
                    flush=True,
                )
        found[str(number)] = {
            field: ratio(turns, field) for field in ('hz', 'median_ms', 'p99_ms')
        }
    print(json.dumps({'shared / apart': found}))
    return 0


def ratio(turns: dict[str, list[Turn]], field: str) -> float:
    """Return the median of a number of the shared way over that of processes apart."""
    medians = [float(np.median([getattr(t, field) for t in turns[way]])) for way in WAYS]
    return round(medians[0] / medians[1], 3)


if __name__ == '__main__':
    sys.exit(main())
