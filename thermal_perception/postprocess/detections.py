"""Logits and relative boxes to scored boxes in pixels of the raw image."""

from __future__ import annotations

from typing import Literal, TYPE_CHECKING

import numpy as np
import torch

from thermal_perception.models.boxes import cxcywh_to_xyxy
from thermal_perception.types import Detections

if TYPE_CHECKING:
    from torch import Tensor

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

    Returns:
        Detections by descending score, with degenerate boxes left out.
    """
    scores, labels, query = _rank(class_scores(logits, activation), activation, limit)
    height, width = source_size
    size = boxes.new_tensor([width, height, width, height], dtype=torch.float32)
    pixels = cxcywh_to_xyxy(boxes[query].float()) * size
    pixels = torch.minimum(pixels.clamp(min=0), size)
    xyxy = pixels.cpu().numpy()
    keep = (xyxy[:, 2] > xyxy[:, 0]) & (xyxy[:, 3] > xyxy[:, 1])
    found = scores.cpu().numpy()
    keep &= np.isfinite(xyxy).all(1) & np.isfinite(found)
    return Detections(
        xyxy[keep],
        found[keep],
        labels.cpu().numpy()[keep],
        class_names,
        stamp_ns,
        frame_id,
        source_size,
    )


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
