"""A model judged on every image of a split: everything the report shows, as plain arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TYPE_CHECKING

import numpy as np

from thermal_perception.evaluation.attributes import attributes_by_id, sampling_units
from thermal_perception.evaluation.coco import category_labels, is_ignored
from thermal_perception.evaluation.confusion import confusion_matrix
from thermal_perception.evaluation.dataset import detect_split
from thermal_perception.evaluation.detection_statistics import (
    breakdown,
    class_groups,
    Resampling,
    score_intervals,
)
from thermal_perception.evaluation.latency import LatencyRecorder
from thermal_perception.evaluation.matching import match_boxes, Matching, MatchingRules
from thermal_perception.types import Detections

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from thermal_perception.evaluation import DetectionMetrics
    from thermal_perception.evaluation.dataset import CocoSplit
    from thermal_perception.evaluation.detection_statistics import Slice
    from thermal_perception.evaluation.match_table import MatchTable
    from thermal_perception.evaluation.matching import MatchCount
    from thermal_perception.perceive import Perceiver
    from thermal_perception.types import FrameSet, FusionWeights, Perception

_EVERYTHING = MatchingRules(min_visibility=0.0, min_height_px=0.0)


@dataclass(frozen=True)
class JudgedImage:
    """One image.

    Attributes:
        path: its file.
        truth: objects, scores 1.
        regions_xyxy_px: (M, 4) regions without a verdict.
        found: boxes at or above the score threshold.
        matching: how they met.
        fusion: weight of each scale, if the model mixes scales.
    """

    path: Path
    truth: Detections
    regions_xyxy_px: NDArray[np.float32]
    found: Detections
    matching: Matching
    fusion: FusionWeights | None

    @property
    def count(self) -> MatchCount:
        """How they met, in numbers."""
        return self.matching.count

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 1 for an empty image left empty."""
        count = self.count
        hits = 2 * count.found
        total = hits + count.false + count.missed
        return hits / total if total else 1.0


@dataclass(frozen=True)
class Judgement:
    """A model on a split.

    Attributes:
        class_names: in label order.
        threshold: score threshold of counts, confusion and pictures.
        metrics: COCO figures.
        intervals: group of classes to figure to (low, high), 95 % bootstrap over images.
        table: matches at every COCO threshold.
        slices: figures by light, altitude and condition, where names tell.
        confusion: (K + 1, K + 1) counts, see `confusion_matrix`.
        images: in the order of the split.
        latency_ms: median and 90th percentile per stage.
    """

    class_names: tuple[str, ...]
    threshold: float
    metrics: DetectionMetrics
    intervals: Mapping[str, Mapping[str, Any]]
    table: MatchTable
    slices: tuple[Slice, ...]
    confusion: NDArray[np.int64]
    images: tuple[JudgedImage, ...]
    latency_ms: Mapping[str, Mapping[str, float]]


class _Witness:
    """Passes frames on to a model and keeps what it said, by the name of the image."""

    def __init__(self, perceive: Callable[[FrameSet], Perception], threshold: float) -> None:
        self._perceive, self._threshold = perceive, threshold
        self.found: dict[str, Detections] = {}
        self.fusion: dict[str, FusionWeights | None] = {}

    def __call__(self, frames: FrameSet) -> Perception:
        perception = self._perceive(frames)
        self.found[frames.frame_id] = perception.detections.above(self._threshold)
        self.fusion[frames.frame_id] = perception.fusion
        return perception


def judge(
    perceiver: Perceiver,
    split: CocoSplit,
    *,
    resamples: int = 1000,
    seed: int = 0,
    tick: Callable[[int, int], None] = lambda done, total: None,
) -> Judgement:
    """Run a model over a split.

    Args:
        perceiver: the model.
        split: images and truth.
        resamples: of the bootstrap; 0 leaves intervals out.
        seed: of the bootstrap.
        tick: called after each image with the images done and in total.
    """
    names = perceiver.info.class_names
    threshold = perceiver.info.default_score_threshold
    latency = LatencyRecorder(perceiver)
    witness = _Witness(latency, threshold)
    scorer = detect_split(split, witness, names, tick=tick)
    table = scorer.matches()
    groups = class_groups(names)
    _, units = sampling_units(split.annotations, table.image_ids)
    draws = Resampling(units, resamples, seed) if resamples else None
    images = tuple(_judged(split, names, witness))
    matrices = [
        confusion_matrix(i.found, i.truth, regions_xyxy_px=i.regions_xyxy_px) for i in images
    ]
    return Judgement(
        names,
        threshold,
        scorer.score(),
        score_intervals(table, groups, draws) if draws else {},
        table,
        tuple(breakdown(table, attributes_by_id(split.annotations), groups, draws)),
        np.sum(matrices, axis=0),
        images,
        latency.summary_ms(),
    )


def _judged(split: CocoSplit, names: tuple[str, ...], witness: _Witness) -> list[JudgedImage]:
    labels = category_labels(split.annotations, names)
    rows: dict[int, list[Mapping[str, Any]]] = {image_id: [] for image_id, _ in split.images}
    for annotation in split.annotations['annotations']:
        rows[annotation['image_id']].append(annotation)
    judged = []
    for image_id, path in split.images:
        found = witness.found[path.name]
        truth = _truth([a for a in rows[image_id] if not is_ignored(a)], labels, found)
        regions = _corners([a['bbox'] for a in rows[image_id] if is_ignored(a)])
        judged.append(
            JudgedImage(
                path,
                truth,
                regions,
                found,
                match_boxes(found, truth, _EVERYTHING),
                witness.fusion[path.name],
            )
        )
    return judged


def _truth(
    annotations: list[Mapping[str, Any]], labels: Mapping[int, int], found: Detections
) -> Detections:
    return Detections(
        _corners([a['bbox'] for a in annotations]),
        np.ones(len(annotations), np.float32),
        np.array([labels[a['category_id']] for a in annotations], np.int64),
        found.class_names,
        found.stamp_ns,
        found.frame_id,
        found.image_size,
    )


def _corners(xywh: list[Any]) -> NDArray[np.float32]:
    boxes = np.array(xywh, np.float32).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return boxes
