"""Replay a data set through the node in another process, and compare with `evaluate` offline.

    python benchmarks/replay_equivalence.py --dataset DIR --split val --queue all
    python benchmarks/replay_equivalence.py --dataset DIR --split val --queue newest

A bag is made of the images and replayed at `--rate`. With `--queue all` and reliable delivery
every frame must be answered once, in order, with its own stamp and frame_id, and the published
boxes, scored with the COCO tool, must give the metrics of the offline evaluation. With `--queue
newest` every frame must be answered or counted. Exit code 1 if not.
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

from thermal_perception.cli.bag_from_images import bag_from_images, BagOptions
from thermal_perception.cli.processes import Children, command_of, node_command
from thermal_perception.cli.ros import executor_of, message, private_environment, qos, ros_node
from thermal_perception.evaluation import CocoScorer
from thermal_perception.evaluation.dataset import CocoSplit, detect_split, open_split
from thermal_perception.evaluation.messages import to_detections
from thermal_perception.perceive import Perceiver
from thermal_perception.resources import shipped_weights

FRAME_ID = 'replay_optical_frame'
START_S = 1_700_000_000
PATIENCE_S = 60.0


class Answers:
    """Everything the node publishes, as it comes."""

    def __init__(self) -> None:
        self.detections: list[Any] = []
        self.values: dict[str, str] = {}
        self.ready = False
        self.last = time.monotonic()

    def take(self, array: Any) -> None:
        """Keep one answer."""
        self.detections.append(array)
        self.last = time.monotonic()

    def report(self, array: Any) -> None:
        """Keep the newest diagnostics."""
        for status in array.status:
            self.values.update({v.key: v.value for v in status.values})
        self.ready = self.ready or self.values.get('state') == 'active'


def replay(bag: Path, options: argparse.Namespace, frames: int, logs: Path) -> Answers:
    """Run node and replay as processes, and collect until all frames are answered or counted."""
    environment = private_environment()
    os.environ.update(environment)
    parameters = {
        'checkpoint': options.checkpoint,
        'queue': options.queue,
        'queue_capacity': 10000,
        'score_threshold': 0.0,
        'qos_overrides./thermal/image_raw.subscription.reliability': 'reliable',
        'qos_overrides./thermal/image_raw.subscription.depth': 1000,
    }
    answers = Answers()
    with Children(environment, logs) as children, ros_node('replay_equivalence') as node:
        reliable = qos(1000, reliable=True)
        for kind, topic, callback in (
            ('vision_msgs/msg/Detection2DArray', '/fusion_detr/detections', answers.take),
            ('diagnostic_msgs/msg/DiagnosticArray', '/diagnostics', answers.report),
        ):
            node.create_subscription(message(kind), topic, callback, reliable)
        executor = executor_of(node)
        children.start('fusion_detr', node_command('fusion_detr', parameters))
        while not answers.ready:
            executor.spin_once(timeout_sec=0.5)
            children.check()
        arguments = ['--rate', str(options.rate / 10.0), '--qos', 'reliable', '--depth', '1000']
        replay = command_of('replay', str(bag), *arguments, '--wait', '30')
        children.start('replay', replay, finite=True)
        answers.last = time.monotonic()
        while time.monotonic() - answers.last < PATIENCE_S and not finished(answers, frames):
            executor.spin_once(timeout_sec=0.5)
            children.check()
    return answers


def finished(answers: Answers, frames: int) -> bool:
    """Tell whether the node accounts for every frame and we have every answer."""
    processed = int(answers.values.get('processed', 0))
    return accounted(answers) >= frames and len(answers.detections) >= processed


def accounted(answers: Answers) -> int:
    """Return how many frames the node answered or counted."""
    total = 0
    for key, text in answers.values.items():
        fate = key.partition(' ')[0]
        if fate in ('processed', 'replaced', 'discarded', 'dropped', 'failed'):
            total += int(text)
    return total


def stamp_ns(header: Any) -> int:
    """Return a header's stamp in nanoseconds."""
    return header.stamp.sec * 1_000_000_000 + header.stamp.nanosec


def compare(answers: Answers, split: CocoSplit, options: argparse.Namespace) -> dict[str, Any]:
    """Return what was found, with the verdict under `passed`."""
    files = sorted(path.name for _, path in split.images)
    expected = {START_S * 1_000_000_000 + round(i * 1e8): name for i, name in enumerate(files)}
    stamps = [stamp_ns(a.header) for a in answers.detections]
    found: dict[str, Any] = {
        'queue': options.queue,
        'frames': len(files),
        'answered': len(stamps),
        'answered_or_counted': accounted(answers),
        'every_stamp_known_and_once': len(set(stamps)) == len(stamps)
        and set(stamps) <= set(expected),
        'in_order': stamps == sorted(stamps),
        'frame_ids_equal': all(a.header.frame_id == FRAME_ID for a in answers.detections),
        'not_processed': {k: v for k, v in answers.values.items() if k in ('replaced',)},
    }
    found['passed'] = (
        found['every_stamp_known_and_once']
        and found['in_order']
        and found['frame_ids_equal']
        and found['answered_or_counted'] == len(files)
    )
    if options.queue == 'all':
        found |= score(answers, split, expected, options)
        found['passed'] = (
            found['passed']
            and found['answered'] == len(files)
            and found['mAP_node'] == found['mAP_offline']
            and found['mAP50_node'] == found['mAP50_offline']
        )
    return found


def score(
    answers: Answers, split: CocoSplit, names: dict[int, str], options: argparse.Namespace
) -> dict[str, Any]:
    """Return the metrics of the published boxes beside those of the offline evaluation."""
    perceiver = Perceiver.load(Path(options.checkpoint))
    classes = perceiver.info.class_names
    ids = {path.name: image_id for image_id, path in split.images}
    scorer = CocoScorer(split.annotations, classes)
    for answer in answers.detections:
        scorer.add(ids[names[stamp_ns(answer.header)]], to_detections(answer, classes))
    online = scorer.score()
    offline = detect_split(split, perceiver, classes).score()
    return {
        'fingerprint': perceiver.info.fingerprint,
        'mAP_node': online.mAP,
        'mAP_offline': offline.mAP,
        'mAP50_node': online.mAP50,
        'mAP50_offline': offline.mAP50,
    }


def main() -> int:
    """Run the comparison and print it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--dataset', type=Path, required=True)
    parser.add_argument('--split', default='val')
    parser.add_argument('--rate', type=float, default=10.0, help='frames per second')
    parser.add_argument('--queue', choices=('all', 'newest'), default='all')
    parser.add_argument('--checkpoint', default=None)
    options = parser.parse_args()
    weights = options.checkpoint or shipped_weights('fusion_detr_lite')
    options.checkpoint = str(Path(weights).resolve())
    split = open_split(options.dataset, options.split)
    with tempfile.TemporaryDirectory() as folder:
        bag = Path(folder) / 'bag'
        images = options.dataset / 'images' / options.split
        bag_from_images(BagOptions(images, bag, frame_id=FRAME_ID, start_s=START_S))
        answers = replay(bag, options, len(split.images), Path(folder))
    found = compare(answers, split, options)
    print(json.dumps(found, indent=2))
    return 0 if found['passed'] else 1


if __name__ == '__main__':
    sys.exit(main())
