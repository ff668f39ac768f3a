"""The best and the worst pairs: both images, what is there, and what was found."""

from __future__ import annotations

from typing import Any, TYPE_CHECKING

import cv2
import numpy as np

from thermal_perception.class_sets import background_label, bright_colours_of
from thermal_perception.evaluation.from_files.images import read_label_map
from thermal_perception.evaluation.segmentation import IGNORE
from training.report.pictures import Example, spread, to_data_uri, to_shades

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from training.report.judge_labels import JudgedPair

UNKNOWN = (150, 150, 150)
"""Colour of pixels without a verdict, R, G, B."""

_WIDTH_PX = 290  # of each of the four
_GAP_PX = 4
_APART = 5  # neighbours in the order of names often are frames of one drive


def label_examples(
    images: Sequence[JudgedPair], class_names: Sequence[str], count: int = 4
) -> tuple[list[Example], list[Example]]:
    """Return the best and the worst pairs that show or got some class, by mean IoU.

    Pairs next to a chosen one in the order of names are passed over, where there are many.
    """
    images = sorted(images, key=lambda image: image.pair.name)
    apart = min(_APART, len(images) // (4 * count))
    scores = {n: i.score for n, i in enumerate(images) if i.score is not None}
    ranked = sorted(scores, key=lambda number: (scores[number], number))
    worst, best = (spread(order, apart)[:count] for order in (ranked, ranked[::-1]))
    return (
        [_example(images[n], class_names) for n in best],
        [_example(images[n], class_names) for n in worst],
    )


def paint(labels: NDArray[np.uint8], class_names: Sequence[str]) -> NDArray[np.uint8]:
    """Return label image (H, W) in the colours of the classes, B, G, R; 255 is grey."""
    colours = np.zeros((256, 3), np.uint8)
    colours[: len(class_names)] = bright_colours_of(class_names)
    colours[IGNORE] = UNKNOWN
    return np.asarray(colours[labels][..., ::-1])


def _example(image: JudgedPair, class_names: Sequence[str]) -> Example:
    frames = image.pair.frames()
    assert frames.thermal is not None and frames.rgb is not None  # a pair has both
    tiles = [
        to_shades(frames.thermal.image),
        frames.rgb.image,
        paint(read_label_map(image.pair.labels), class_names),
        paint(image.labels, class_names),
    ]
    return Example(image.pair.name, _caption(image, class_names), to_data_uri(_row(tiles)))


def _row(tiles: Sequence[NDArray[Any]]) -> NDArray[np.uint8]:
    """Put pictures (H, W, 3) of one shape side by side, white between them."""
    height = round(tiles[0].shape[0] * _WIDTH_PX / tiles[0].shape[1])
    gap = np.full((height, _GAP_PX, 3), 255, np.uint8)
    parts: list[NDArray[Any]] = []
    for tile in tiles:
        small = cv2.resize(tile, (_WIDTH_PX, height), interpolation=cv2.INTER_AREA)
        parts += [gap, np.asarray(small, np.uint8)]
    return np.concatenate(parts[1:], axis=1)


def _caption(image: JudgedPair, class_names: Sequence[str]) -> str:
    background = background_label(class_names)
    values = [
        f'{name} {m.IoU:.2f}'
        for label, (name, m) in enumerate(image.metrics.per_class.items())
        if m.IoU is not None and label != background
    ]
    return f'mean IoU {image.score:.2f} ({", ".join(values)})'
