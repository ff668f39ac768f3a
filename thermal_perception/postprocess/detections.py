"""Logits and relative boxes to scored boxes in pixels of the raw image."""

from __future__ import annotations

from typing import Literal, TYPE_CHECKING

import torch

from thermal_perception.models.boxes import cxcywh_to_xyxy, distinct
from thermal_perception.types import Detections

if TYPE_CHECKING:
    from torch import Tensor

_POOL = 2  # candidates per detection, when repetitions are left out
_ROUNDS = 16

Activation = Literal['softmax', 'sigmoid']


def class_scores(logits: Tensor, activation: Activation) -> Tensor:
    """Return (..., K) scores; softmax drops its last column, 'no object'."""
    logits = logits.float()
    return logits.softmax(-1)[..., :-1] if activation == 'softmax' else logits.sigmoid()


def top_detections(
    logits: Tensor,
    boxes: Tensor,
    *,
    activation: Activation,
    source_size: tuple[int, int],
    class_names: tuple[str, ...],
    stamp_ns: int = 0,
    frame_id: str = '',
    limit: int = 100,
    suppress_iou: float = 1.0,
) -> Detections:
    """Rank the queries of one image.

    Softmax gives each query its best class; sigmoid scores rank every (query, class) pair, so a
    query may appear twice, as usual for focal-trained detectors.

    Args:
        logits: (Q, K+1) for softmax, (Q, K) for sigmoid.
        boxes: (Q, 4) cxcywh relative to the unpadded image.
        activation: which one the model was trained with.
        source_size: (height, width) of the raw image; boxes are clipped to it.
        class_names: names of the K classes.
        stamp_ns: stamp of the source frame.
        frame_id: optical frame of the source camera.
        limit: how many to keep at most.
        suppress_iou: leave out a box that overlaps a better one of its class by more than this;
            1 keeps all, as a model does that has learned to report each object once.

    Returns:
        Detections by descending score, with degenerate boxes left out.
    """
    pool = limit if suppress_iou == 1 else _POOL * limit
    scores, labels, query = _rank(class_scores(logits, activation), activation, pool)
    height, width = source_size
    size = boxes.new_tensor([width, height, width, height], dtype=torch.float32)
    pixels = cxcywh_to_xyxy(boxes[query].float()) * size
    pixels = torch.minimum(pixels.clamp(min=0), size)
    good = (pixels[:, 2:] > pixels[:, :2]).all(1) & pixels.isfinite().all(1) & scores.isfinite()
    scores, labels, pixels = scores[good], labels[good], pixels[good]
    if suppress_iou < 1:
        first = _first_of_each(pixels, labels, suppress_iou).nonzero()[:limit, 0]
        scores, labels, pixels = scores[first], labels[first], pixels[first]
    return Detections(
        pixels.cpu().numpy(),
        scores.cpu().numpy(),
        labels.cpu().numpy(),
        class_names,
        stamp_ns,
        frame_id,
        source_size,
    )


def _first_of_each(boxes_xyxy_px: Tensor, labels: Tensor, iou: float) -> Tensor:
    """Return (N,) bool: boxes, best first, that repeat no better one of their class."""
    apart = 2 * boxes_xyxy_px.max() if len(boxes_xyxy_px) else 0.0
    shifted = boxes_xyxy_px + (labels * apart)[:, None]  # classes no longer overlap
    return distinct(shifted[None], iou, rounds=_ROUNDS)[0]


def _rank(
    scores: Tensor, activation: Activation, limit: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the best scores with their labels and query indices."""
    if activation == 'softmax':
        best, labels = scores.max(-1)
        best, query = best.topk(min(limit, len(best)))
        return best, labels[query], query
    flat, index = scores.flatten().topk(min(limit, scores.numel()))
    classes = scores.shape[-1]
    return flat, index % classes, torch.div(index, classes, rounding_mode='floor')
