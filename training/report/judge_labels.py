"""A model that labels pixels, judged on every pair of a split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from thermal_perception.class_sets import background_label
from thermal_perception.evaluation.figures import Draws, parts, whole
from thermal_perception.evaluation.label_results import LabelResult
from thermal_perception.evaluation.labelled_pairs import score_labels
from thermal_perception.evaluation.latency import LatencyRecorder
from thermal_perception.evaluation.segmentation import segmentation_metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from thermal_perception.evaluation.figures import Part
    from thermal_perception.evaluation.labelled_pairs import LabelledPair
    from thermal_perception.evaluation.segmentation import SegmentationMetrics
    from thermal_perception.perceive import Perceiver
    from thermal_perception.types import FrameSet, Perception


@dataclass(frozen=True, eq=False)
class JudgedPair:
    """One pair of images.

    Attributes:
        pair: its files.
        labels: (H, W) uint8, what was found.
        metrics: of this pair alone.
        score: mean IoU of its classes without the background; with it where no class is one.
            None if there is none.
    """

    pair: LabelledPair
    labels: NDArray[np.uint8]
    metrics: SegmentationMetrics
    score: float | None


@dataclass(frozen=True, eq=False)
class LabelJudgement:
    """A model on a split.

    Attributes:
        class_names: in label order.
        metrics: over all pairs.
        whole: the same figures with intervals.
        parts: by light or condition, as far as known.
        confusion: (K, K) pixels, rows truth, columns prediction.
        images: in the order of the split.
        latency_ms: median and 90th percentile per stage.
        unit: what the bootstrap drew, `image` or `scene`.
    """

    class_names: tuple[str, ...]
    metrics: SegmentationMetrics
    whole: Part
    parts: tuple[Part, ...]
    confusion: NDArray[np.int64]
    images: tuple[JudgedPair, ...]
    latency_ms: Mapping[str, Mapping[str, float]]
    unit: str


def judge_labels(
    perceiver: Perceiver,
    pairs: Sequence[LabelledPair],
    *,
    resamples: int = 1000,
    seed: int = 0,
    tick: Callable[[int, int], None] = lambda done, total: None,
) -> LabelJudgement:
    """Run a model over pairs with label images.

    Args:
        perceiver: the model.
        pairs: what to look at.
        resamples: of the bootstrap; 0 leaves intervals out.
        seed: of the bootstrap.
        tick: called after each pair with the pairs done and in total.
    """
    names = perceiver.info.class_names
    latency = LatencyRecorder(lambda frames: perceiver(frames, wanted={'segmentation'}))
    found: dict[str, NDArray[np.uint8]] = {}

    def witness(frames: FrameSet) -> Perception:
        perception = latency(frames)
        if perception.segmentation is not None:
            found[frames.frame_id] = perception.segmentation.labels
        return perception

    scorer = score_labels(pairs, witness, names, tick=tick)
    attributes = {pair.name: pair.attributes for pair in pairs}
    units = {pair.name: pair.unit for pair in pairs}
    table = LabelResult(scorer, attributes, units).table()
    draws = Draws(resamples, seed) if resamples else None
    matrices = dict(zip(scorer.names(), scorer.matrices()))
    return LabelJudgement(
        names,
        scorer.score(),
        whole(table, draws),
        tuple(parts(table, draws)),
        np.sum(list(matrices.values()), axis=0),
        tuple(_judged(pair, found[pair.name], matrices[pair.name], names) for pair in pairs),
        latency.summary_ms(),
        'scene' if len(set(units.values())) < len(pairs) else 'image',
    )


def _judged(
    pair: LabelledPair,
    labels: NDArray[np.uint8],
    matrix: NDArray[np.int64],
    names: tuple[str, ...],
) -> JudgedPair:
    metrics = segmentation_metrics(matrix, names)
    has_background = background_label(names) is not None
    score = metrics.mIoU_foreground if has_background else metrics.mIoU
    return JudgedPair(pair, labels, metrics, score)
