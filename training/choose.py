"""`python -m training choose`: score threshold and overlap of weights, found on dev.

Both belong to the shipped file. They are chosen on the parts of train that an experiment holds
out, never on the split that is published.
"""

from __future__ import annotations

from dataclasses import replace
import json
from pathlib import Path
from typing import Any, NamedTuple, TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from thermal_perception.errors import ConfigError
from thermal_perception.evaluation import CocoScorer
from thermal_perception.evaluation.matching import count_matches, MatchCount, MatchingRules
from thermal_perception.models.checkpoint import load_checkpoint
from thermal_perception.perceive import Perceiver
from thermal_perception.postprocess import without_repetitions
from thermal_perception.types import Detections
from training.config import training_config
from training.datasets import DataFolder
from training.emiff import choose as emiff
from training.emiff.data import dev_frames
from training.systems import SYSTEMS

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from thermal_perception.models.checkpoint import Checkpoint
    from training.config import TrainingConfig
    from training.datasets import Record

OVERLAPS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 1.0)
THRESHOLDS = (0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6)
LIMIT = 100  # boxes per image, as COCO counts
_RULES = MatchingRules(min_height_px=0.0)


class Scored(NamedTuple):
    """What a setting gives on one data set.

    Attributes:
        overlap: `suppress_iou`.
        mAP50: COCO, over classes with objects.
        mAP: the same over ten overlaps with the truth.
    """

    overlap: float
    mAP50: float
    mAP: float


class Counted(NamedTuple):
    """What a score threshold gives on one data set, at an overlap of 0.5 with the truth.

    Boxes in space count by the distance of their centres, see `emiff.choose`.
    """

    threshold: float
    precision: float
    recall: float

    @property
    def f1(self) -> float:
        """Harmonic mean of both."""
        return 2 * self.precision * self.recall / max(self.precision + self.recall, 1e-9)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the verb."""
    parser.add_argument('checkpoint', type=Path, help='trained .safetensors file')
    parser.add_argument('--config', type=Path, required=True, help='experiment whose dev is used')
    parser.add_argument(
        '--data', type=Path, default=Path(), help='folder that relative data sets are in'
    )
    parser.add_argument('--cache', type=Path, help='folder of decoded images')
    parser.add_argument('--json', type=Path, help='file for the figures')
    parser.add_argument('--device', default='auto', help='cpu, cuda, or auto: the GPU if any')
    parser.add_argument(
        '--set', action='append', default=[], metavar='KEY=VALUE', help='override one value'
    )


def run(args: argparse.Namespace) -> int:
    """Print the figures of every data set of dev; returns the exit code.

    Raises:
        ConfigError: if the experiment has no dev with boxes.
    """
    checkpoint = load_checkpoint(args.checkpoint)
    config = training_config(args.config, args.set)
    if checkpoint.info.architecture == 'emiff':
        return _choose_emiff(checkpoint, config, args)
    names = checkpoint.info.class_names
    pictures = SYSTEMS[checkpoint.info.architecture].pictures
    opened = [DataFolder(d, names, args.data, args.cache, pictures=pictures) for d in config.dev]
    folders = [folder for folder in opened if folder.labelled]
    if not folders:
        raise ConfigError(f'{args.config}: found no dev with boxes, expected one to choose by')
    found = [detect(checkpoint, folder, args.device) for folder in folders]
    overlaps = [score_overlaps(folder, boxes) for folder, boxes in zip(folders, found)]
    best = max(overlaps[0], key=lambda row: row.mAP50).overlap
    counts = [count_thresholds(folder, boxes, best) for folder, boxes in zip(folders, found)]
    for folder, scored, counted in zip(folders, overlaps, counts):
        print(describe(folder, scored, counted, best))
    threshold = max(counts[0], key=lambda row: row.f1).threshold
    print(f'by {folders[0].config.directory}: suppress_iou {best}, score_threshold {threshold}')
    if args.json:
        rows = zip(folders, overlaps, counts)
        content = {f.config.directory: _to_json(o, c) for f, o, c in rows}
        args.json.write_text(json.dumps(content, indent=1) + '\n', encoding='utf-8')
    return 0


def _choose_emiff(checkpoint: Checkpoint, config: TrainingConfig, args: argparse.Namespace) -> int:
    frames = dev_frames(config, args.data)
    if not frames:
        raise ConfigError(f'{args.config}: found no dev, expected frames to choose by')
    scored, found = emiff.score_overlaps(checkpoint, frames, device=args.device)
    best = max(scored, key=lambda row: row.AP3D).overlap
    counted = [
        Counted(threshold, count.precision or 0.0, count.recall or 0.0)
        for threshold, count in emiff.count_thresholds(found, [f.truth for f in frames])
    ]
    lines = [f'{len(frames)} frames, both cameras', '', 'overlap   AP3D  APBEV']
    lines += [f'{r.overlap:7.2f}  {r.AP3D:.3f}  {r.APBEV:.3f}' for r in scored]
    print('\n'.join([*lines, '', *_thresholds(counted, best), '']))
    print(f'nms_iou {best}, score_threshold {max(counted, key=lambda row: row.f1).threshold}')
    if args.json:
        content = _to_json(scored, counted)
        args.json.write_text(json.dumps(content, indent=1) + '\n', encoding='utf-8')
    return 0


def detect(checkpoint: Checkpoint, folder: DataFolder, device: str = 'auto') -> list[Detections]:
    """Return the boxes of every image with all repetitions, twice as many as will be kept."""
    info = replace(checkpoint.info, suppress_iou=1.0)
    perceiver = Perceiver(replace(checkpoint, info=info), device=device, max_detections=2 * LIMIT)
    images = tqdm(range(len(folder)), desc='detecting', unit='image', leave=False)
    return [perceiver(folder.frames(n), wanted={'detections'}).detections for n in images]


def score_overlaps(
    folder: DataFolder, found: Sequence[Detections], overlaps: Sequence[float] = OVERLAPS
) -> list[Scored]:
    """Score every overlap from which a box counts as a repetition."""
    rows = []
    for overlap in overlaps:
        scorer = CocoScorer(folder.truth(), folder.class_names)
        for record, boxes in zip(folder.records, found):
            scorer.add(record.image_id, kept(boxes, overlap))
        metrics = scorer.score()
        rows.append(Scored(overlap, metrics.mAP50 or 0.0, metrics.mAP or 0.0))
    return rows


def count_thresholds(
    folder: DataFolder,
    found: Sequence[Detections],
    overlap: float,
    thresholds: Sequence[float] = THRESHOLDS,
) -> list[Counted]:
    """Count found, missed and false boxes at every score threshold."""
    boxes = [kept(b, overlap) for b in found]
    truths = [truth_of(record, folder.class_names) for record in folder.records]
    rows = []
    for threshold in thresholds:
        counts = [count_matches(b.above(threshold), t, _RULES) for b, t in zip(boxes, truths)]
        total = sum(counts, start=MatchCount())
        rows.append(Counted(threshold, total.precision or 0.0, total.recall or 0.0))
    return rows


def kept(boxes: Detections, overlap: float) -> Detections:
    """Return what the robot would publish of the boxes of an image."""
    first = boxes if overlap == 1 else without_repetitions(boxes, overlap)
    return replace(
        first,
        boxes_xyxy_px=first.boxes_xyxy_px[:LIMIT],
        scores=first.scores[:LIMIT],
        labels=first.labels[:LIMIT],
    )


def truth_of(record: Record, class_names: tuple[str, ...]) -> Detections:
    """Return the objects of an image, regions without a verdict as invisible ones."""
    regions = [
        (box, label)
        for box, of in zip(record.ignore_xyxy_px, record.ignore_labels.tolist())
        for label in (range(len(class_names)) if of < 0 else [of])
    ]
    boxes = np.array([*record.boxes_xyxy_px, *(b for b, _ in regions)], np.float32).reshape(-1, 4)
    labels = np.array([*record.labels, *(label for _, label in regions)], np.int64)
    visible = np.repeat(np.array([1, 0], np.float32), [len(record.labels), len(regions)])
    return Detections(boxes, visible, labels, class_names, 0, record.name, (0, 0))


def describe(
    folder: DataFolder, scored: Sequence[Scored], counted: Sequence[Counted], overlap: float
) -> str:
    """Return the figures of one data set as two tables."""
    lines = [f'{folder.config.directory}: {len(folder)} images', '', 'overlap  mAP50    mAP']
    lines += [f'{r.overlap:7.2f}  {r.mAP50:.3f}  {r.mAP:.3f}' for r in scored]
    return '\n'.join([*lines, '', *_thresholds(counted, overlap), ''])


def _thresholds(counted: Sequence[Counted], overlap: float) -> list[str]:
    return [
        f'threshold  precision  recall     F1   (overlap {overlap:.2f})',
        *(
            f'{r.threshold:9.2f}  {r.precision:9.3f}  {r.recall:6.3f}  {r.f1:5.3f}'
            for r in counted
        ),
    ]


def _to_json(
    scored: Sequence[Scored | emiff.Scored3D], counted: Sequence[Counted]
) -> dict[str, Any]:
    return {
        'overlaps': [row._asdict() for row in scored],
        'thresholds': [{**row._asdict(), 'f1': row.f1} for row in counted],
    }
