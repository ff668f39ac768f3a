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
from pathlib import Path
import sys
import tempfile
from typing import Any

from replaying import Answers, reliably, replay, stamp_ns

from thermal_perception.cli.bag_from_images import bag_from_images, BagOptions
from thermal_perception.evaluation import CocoScorer
from thermal_perception.evaluation.dataset import CocoSplit, detect_split, open_split
from thermal_perception.evaluation.messages import to_detections
from thermal_perception.perceive import Perceiver
from thermal_perception.resources import shipped_weights

FRAME_ID = 'replay_optical_frame'
START_S = 1_700_000_000
TOPIC = '/fusion_detr/detections'


def replayed(bag: Path, options: argparse.Namespace, frames: int, logs: Path) -> Answers:
    """Return what fusion_detr answers."""
    parameters = {
        'checkpoint': options.checkpoint,
        'queue': options.queue,
        'queue_capacity': 10000,
        'score_threshold': 0.0,
        **reliably('thermal'),
    }
    return replay(
        bag,
        'fusion_detr',
        parameters,
        topics={TOPIC: 'vision_msgs/msg/Detection2DArray'},
        frames=frames,
        speed=options.rate / 10.0,
        logs=logs,
    )


def compare(answers: Answers, split: CocoSplit, options: argparse.Namespace) -> dict[str, Any]:
    """Return what was found, with the verdict under `passed`."""
    files = sorted(path.name for _, path in split.images)
    expected = {START_S * 1_000_000_000 + round(i * 1e8): name for i, name in enumerate(files)}
    stamps = [stamp_ns(a.header) for a in answers.messages[TOPIC]]
    found: dict[str, Any] = {
        'queue': options.queue,
        'frames': len(files),
        'answered': len(stamps),
        'answered_or_counted': answers.accounted,
        'every_stamp_known_and_once': len(set(stamps)) == len(stamps)
        and set(stamps) <= set(expected),
        'in_order': stamps == sorted(stamps),
        'frame_ids_equal': all(a.header.frame_id == FRAME_ID for a in answers.messages[TOPIC]),
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
    for answer in answers.messages[TOPIC]:
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
        answers = replayed(bag, options, len(split.images), Path(folder))
    found = compare(answers, split, options)
    print(json.dumps(found, indent=2))
    return 0 if found['passed'] else 1


if __name__ == '__main__':
    sys.exit(main())
