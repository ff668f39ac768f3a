"""Overlap and score threshold of EMIFF's boxes, found on dev with both cameras."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple, TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from thermal_perception.evaluation.boxes_3d import Boxes3DScorer
from thermal_perception.evaluation.cooperative import CooperativeModel, CooperativeOptions, to_json
from thermal_perception.evaluation.matching import MatchCount
from thermal_perception.perceive.cooperative import RoadsidePerceiver, VehiclePerceiver

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thermal_perception.evaluation.dair import CooperativeFrame
    from thermal_perception.models.checkpoint import Checkpoint
    from thermal_perception.types import Boxes3D

OVERLAPS = (0.01, 0.05, 0.1, 0.2, 0.3)
THRESHOLDS = (0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6)
NEAR_M = 2.0  # a box is an object's if their centres are this close, seen from above


class Scored3D(NamedTuple):
    """What an overlap gives.

    Attributes:
        overlap: `nms_iou`.
        AP3D: mean over classes at an overlap with the truth of 0.5, 0..1.
        APBEV: the same, seen from above.
    """

    overlap: float
    AP3D: float
    APBEV: float


def score_overlaps(
    checkpoint: Checkpoint,
    frames: Sequence[CooperativeFrame],
    overlaps: Sequence[float] = OVERLAPS,
    *,
    device: str = 'auto',
) -> tuple[list[Scored3D], list[Boxes3D]]:
    """Score every overlap from which a box counts as a repetition.

    Returns:
        The scores, and the boxes of every frame at the overlap whose AP3D is best.
    """
    rows: list[Scored3D] = []
    best: list[Boxes3D] = []
    for overlap in overlaps:
        found = detect(checkpoint, frames, overlap, device=device)
        scorer = Boxes3DScorer(checkpoint.info.class_names)
        for frame, boxes in zip(frames, found):
            scorer.add(frame.name, boxes, replace(frame.truth, class_names=boxes.class_names))
        scores = to_json(scorer.score())
        rows.append(Scored3D(overlap, scores['AP3D_50'] or 0.0, scores['APBEV_50'] or 0.0))
        if max(row.AP3D for row in rows) <= rows[-1].AP3D:
            best = found
    return rows, best


def detect(
    checkpoint: Checkpoint, frames: Sequence[CooperativeFrame], overlap: float, *, device: str
) -> list[Boxes3D]:
    """Return the boxes of every frame, seen by both cameras."""
    config = {**checkpoint.info.config, 'nms_iou': overlap}
    changed = replace(checkpoint, info=replace(checkpoint.info, config=config))
    model = CooperativeModel(
        RoadsidePerceiver(changed, device=device), VehiclePerceiver(changed, device=device)
    )
    options = CooperativeOptions()
    images = tqdm(frames, desc=f'detecting, overlap {overlap}', unit='frame', leave=False)
    return [model(frame, options) for frame in images]


def count_near(found: Boxes3D, truth: Boxes3D, *, near_m: float = NEAR_M) -> MatchCount:
    """Count found and missed objects and false boxes; boxes with higher scores choose first."""
    free = np.ones(len(truth), bool)
    hits = 0
    for index in np.argsort(-found.scores, kind='stable'):
        away = np.linalg.norm(truth.centres_m[:, :2] - found.centres_m[index, :2], axis=1)
        away[~free | (truth.labels != found.labels[index])] = np.inf
        if len(away) and away.min() < near_m:
            free[away.argmin()] = False
            hits += 1
    return MatchCount(hits, len(truth) - hits, len(found) - hits)


def count_thresholds(
    found: Sequence[Boxes3D],
    truths: Sequence[Boxes3D],
    thresholds: Sequence[float] = THRESHOLDS,
) -> list[tuple[float, MatchCount]]:
    """Count at every score threshold."""
    rows = []
    for threshold in thresholds:
        counts = [count_near(b.select(b.scores >= threshold), t) for b, t in zip(found, truths)]
        rows.append((threshold, sum(counts, start=MatchCount())))
    return rows
