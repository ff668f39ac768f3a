"""Logits and relative boxes to scored boxes in pixels of the raw image."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, TYPE_CHECKING

import numpy as np

from thermal_perception.types import Detections

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    Floats = NDArray[np.float32]
    Labels = NDArray[np.int64]

_POOL = 2  # candidates per detection, when repetitions are left out

Activation = Literal['softmax', 'sigmoid']


def class_scores(logits: Floats, activation: Activation) -> Floats:
    """Return (..., K) scores; softmax drops its last column, 'no object'."""
    if activation == 'sigmoid':
        return np.reciprocal(1 + np.exp(-logits))
    shares = np.exp(logits - logits.max(-1, keepdims=True, initial=-np.inf))
    return (shares / shares.sum(-1, keepdims=True))[..., :-1]


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
    with np.errstate(over='ignore', invalid='ignore'):  # what is no number is left out below
        scores, labels, query = _rank(class_scores(_array(logits), activation), activation, pool)
        pixels = _to_pixels(_array(boxes)[query], source_size)
        good = (pixels[:, 2:] > pixels[:, :2]).all(1) & np.isfinite(pixels).all(1)
    good &= np.isfinite(scores)
    scores, labels, pixels = scores[good], labels[good], pixels[good]
    if suppress_iou < 1:
        first = np.flatnonzero(_first_of_each(pixels, labels, suppress_iou))[:limit]
        scores, labels, pixels = scores[first], labels[first], pixels[first]
    return Detections(
        pixels, scores, labels, class_names, stamp_ns, frame_id, source_size
    )


def without_repetitions(detections: Detections, iou: float) -> Detections:
    """Leave out boxes that overlap a better one of their class by more than `iou`."""
    first = _first_of_each(detections.boxes_xyxy_px, detections.labels, iou)
    return replace(
        detections,
        boxes_xyxy_px=detections.boxes_xyxy_px[first],
        scores=detections.scores[first],
        labels=detections.labels[first],
    )


def _array(values: Tensor) -> Floats:
    """Return the numbers on the CPU, in single precision."""
    return values.detach().float().cpu().numpy()


def _to_pixels(boxes: Floats, source_size: tuple[int, int]) -> Floats:
    """(N, 4) relative cxcywh to corners in pixels, clipped to the image."""
    centre, half = boxes[:, :2], boxes[:, 2:] / 2
    size = np.array([source_size[1], source_size[0]] * 2, np.float32)
    corners = np.concatenate((centre - half, centre + half), 1) * size
    return np.clip(corners, 0, size)


def _first_of_each(boxes_xyxy_px: Floats, labels: Labels, iou: float) -> NDArray[np.bool_]:
    """Return (N,) bool: boxes, best first, that repeat no better one of their class."""
    x1, y1, x2, y2 = np.ascontiguousarray(boxes_xyxy_px.T)
    width, height = _shared(x1, x2), _shared(y1, y2)
    np.multiply(width, height, out=width)
    area = (x2 - x1) * (y2 - y1)
    # shared / (sum of areas - shared) > iou, in matrices that are written in place
    much = np.greater(width, np.add.outer(area, area) * np.float32(iou / (1 + iou)))
    much &= np.equal.outer(labels, labels)
    repeats = np.triu(much, 1)  # [better, worse]
    first = np.ones(len(labels), np.bool_)
    for better in np.flatnonzero(repeats.any(1)):
        if first[better]:
            first &= ~repeats[better]
    return first


def _shared(start: Floats, end: Floats) -> Floats:
    """Return (N, N): how much of each of (N,) intervals lies in each, 0 where they are apart."""
    shared = np.minimum.outer(end, end)
    shared -= np.maximum.outer(start, start)
    return np.maximum(shared, 0, out=shared)


def _rank(
    scores: Floats, activation: Activation, limit: int
) -> tuple[Floats, Labels, NDArray[np.int64]]:
    """Return the best scores with their labels and query indices."""
    if activation == 'softmax':
        labels = scores.argmax(-1)
        best = np.take_along_axis(scores, labels[:, None], 1)[:, 0]
        query = np.argsort(-best, kind='stable')[:limit]
        return best[query], labels[query], query
    flat = scores.ravel()
    index = np.argsort(-flat, kind='stable')[:limit]
    query, labels = np.divmod(index, scores.shape[-1])
    return flat[index], labels, query
