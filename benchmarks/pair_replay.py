"""Replay pairs through a node with two cameras, and hold every answer against the network offline.

    python benchmarks/pair_replay.py --dataset DIR --split val
    python benchmarks/pair_replay.py --dataset DIR --node rgbt_segmentation --checkpoint FILE

A bag is made of the `infrared/` and `visible/` images of DIR and replayed reliably through the
node, `queue: all`, in another process. Every pair must be answered once and in order, and every
published picture and box must be that of the network offline, bit for bit. Exit code 1 if not.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
import shutil
import sys
import tempfile
from typing import Any, TYPE_CHECKING

import numpy as np
from replaying import Answers, reliably, replay, stamp_ns

from thermal_perception.cli.bag_from_images import bag_from_images, BagOptions
from thermal_perception.encode import to_detection2d_array, to_encoding
from thermal_perception.evaluation.pairs import open_pairs
from thermal_perception.perceive import Perceiver
from thermal_perception.resources import shipped_weights

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thermal_perception.evaluation.pairs import ImagePair
    from thermal_perception.types import Perception

FRAME_ID = 'replay_optical_frame'
START_S = 1_700_000_000
RATE_HZ = 10.0
PICTURES = {'e2e_mfd': 'fused_image', 'rgbt_segmentation': 'segmentation'}


def make_bag(pairs: Sequence[ImagePair], folder: Path) -> Path:
    """Write the pairs as a bag, in the order given."""
    sides = {side: folder / side for side in ('thermal', 'rgb')}
    for place in sides.values():
        place.mkdir()
    for pair in pairs:
        shutil.copy(pair.thermal, sides['thermal'] / f'{pair.name}{pair.thermal.suffix}')
        shutil.copy(pair.visible, sides['rgb'] / f'{pair.name}{pair.visible.suffix}')
    bag = folder / 'bag'
    bag_from_images(
        BagOptions(
            sides['thermal'],
            bag,
            rate_hz=RATE_HZ,
            frame_id=FRAME_ID,
            rgb=sides['rgb'],
            start_s=START_S,
        )
    )
    return bag


def replayed(bag: Path, options: argparse.Namespace, frames: int, logs: Path) -> Answers:
    """Return what the node answers."""
    parameters = {
        'checkpoint': options.checkpoint,
        'device': options.device,
        'num_threads': options.threads,
        'queue': 'all',
        'queue_capacity': 10000,
        'score_threshold': 0.0,
        'max_wait_s': 60.0,
        'modality_timeout_s': 60.0,
        'pairing_capacity': 10000,
        **reliably('thermal', 'rgb'),
    }
    topics = {
        f'/{options.node}/{PICTURES[options.node]}': 'sensor_msgs/msg/Image',
        f'/{options.node}/detections': 'vision_msgs/msg/Detection2DArray',
    }
    return replay(
        bag,
        options.node,
        parameters,
        topics=topics,
        frames=frames,
        speed=options.rate / RATE_HZ,
        logs=logs,
    )


def picture_of(perception: Perception, encoding: str) -> Any:
    """Return the pixels that a node publishes of a result."""
    if perception.segmentation is not None:
        return perception.segmentation.labels
    assert perception.fused is not None
    return to_encoding(perception.fused.image, encoding)


def plain(array: Any) -> list[tuple[Any, ...]]:
    """Return the numbers of every box of a message."""
    return [
        (
            d.bbox.center.position.x,
            d.bbox.center.position.y,
            d.bbox.size_x,
            d.bbox.size_y,
            *((r.hypothesis.class_id, r.hypothesis.score) for r in d.results),
        )
        for d in array.detections
    ]


def compare(
    answers: Answers, pairs: Sequence[ImagePair], options: argparse.Namespace
) -> dict[str, Any]:
    """Return what was found, with the verdict under `passed`."""
    perceiver = Perceiver.load(
        Path(options.checkpoint),
        device=options.device,
        max_detections=100,
        num_threads=options.threads or None,
    )
    pictures, boxes = answers.messages.values()
    expected = [START_S * 10**9 + round(i * 1e9 / RATE_HZ) for i in range(len(pairs))]
    found: dict[str, Any] = {
        'fingerprint': perceiver.info.fingerprint,
        'pairs': len(pairs),
        'answered_once_in_order': all(
            [stamp_ns(m.header) for m in messages] == expected for messages in (pictures, boxes)
        ),
        'frame_ids_equal': all(m.header.frame_id == FRAME_ID for m in (*pictures, *boxes)),
        'paired': int(answers.values.get('thermal paired', 0)),
        'pictures_equal': 0,
        'boxes_equal': 0,
    }
    for pair, picture, array in zip(pairs, pictures, boxes):
        offline = perceiver(pair.frames())
        wanted = picture_of(offline, picture.encoding)
        published = np.frombuffer(picture.data, np.uint8).reshape(wanted.shape)
        found['pictures_equal'] += int(np.array_equal(published, wanted))
        of_network = to_detection2d_array(offline.detections)
        found['boxes_equal'] += int(plain(array) == plain(of_network))
    found['passed'] = (
        found['answered_once_in_order']
        and found['frame_ids_equal']
        and found['pairs'] == found['paired'] == found['pictures_equal'] == found['boxes_equal']
    )
    return found


def main() -> int:
    """Run the comparison and print it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--dataset', type=Path, required=True)
    parser.add_argument('--split', default=None)
    parser.add_argument('--node', choices=tuple(PICTURES), default='e2e_mfd')
    parser.add_argument('--checkpoint', default=None)
    parser.add_argument('--rate', type=float, default=2.0, help='pairs per second')
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--threads', type=int, default=1)
    options = parser.parse_args()
    default = {'e2e_mfd': 'e2e_mfd_lite', 'rgbt_segmentation': 'rgbt_lite'}[options.node]
    options.checkpoint = str(Path(options.checkpoint or shipped_weights(default)).resolve())
    pairs = sorted(open_pairs(options.dataset, options.split), key=lambda pair: pair.name)
    with tempfile.TemporaryDirectory() as folder:
        bag = make_bag(pairs, Path(folder))
        answers = replayed(bag, options, len(pairs), Path(folder))
    found = compare(answers, pairs, options)
    print(json.dumps(found, indent=2))
    return 0 if found['passed'] else 1


if __name__ == '__main__':
    sys.exit(main())
