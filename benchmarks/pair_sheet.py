"""Draw what a model with two cameras makes of pairs: visible, infrared, result, row by row.

    python benchmarks/pair_sheet.py --dataset DIR --split val --output sheet.png
    python benchmarks/pair_sheet.py --dataset DIR --checkpoint FILE --count 8 --output sheet.png

DIR holds `visible/` and `infrared/`. Results are the fused image, with boxes in a column of their
own, or the painted classes.
"""

from __future__ import annotations

import argparse
from pathlib import Path
import sys
from typing import Any, TYPE_CHECKING

import cv2
import numpy as np

from thermal_perception.encode import draw_overlay, to_encoding
from thermal_perception.encode.label_overlay import LabelPainter
from thermal_perception.evaluation.pairs import open_pairs
from thermal_perception.perceive import Perceiver
from thermal_perception.resources import shipped_weights

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from thermal_perception.types import FrameSet, Perception

    Image = NDArray[np.uint8]

TILE = (240, 320)  # height, width


def tiles_of(frames: FrameSet, perception: Perception, threshold: float) -> list[Image]:
    """Return what belongs in a row: both images and what was made of them, B, G, R."""
    assert frames.thermal is not None
    assert frames.rgb is not None
    tiles = [frames.rgb.image, to_encoding(frames.thermal.image, 'bgr8')]
    if perception.fused is not None:
        fused = perception.fused.image
        boxes = perception.detections.above(threshold)
        tiles += [to_encoding(fused, 'bgr8'), draw_overlay(fused, boxes)]
    if (mask := perception.segmentation) is not None:
        tiles.append(LabelPainter(mask.class_names).paint(frames.thermal.image, mask))
    return [fitted(tile) for tile in tiles]


def fitted(image: NDArray[Any]) -> Image:
    """Return an image at the size of a tile, black where its shape leaves room."""
    scale = min(TILE[0] / image.shape[0], TILE[1] / image.shape[1])
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    tile = np.zeros((*TILE, 3), np.uint8)
    tile[: small.shape[0], : small.shape[1]] = small[: TILE[0], : TILE[1]]
    return tile


def spread(items: Sequence[Any], count: int) -> list[Any]:
    """Return `count` items, evenly spaced."""
    places = np.linspace(0, len(items) - 1, min(count, len(items)))
    return [items[round(place)] for place in places]


def main() -> int:
    """Draw the sheet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--dataset', type=Path, required=True)
    parser.add_argument('--split', default=None)
    parser.add_argument('--model', default='e2e_mfd_lite', help='shipped weights')
    parser.add_argument('--checkpoint', type=Path, default=None, help='weights, instead')
    parser.add_argument('--count', type=int, default=8, help='pairs, evenly spaced by name')
    parser.add_argument('--threshold', type=float, default=None, help='of boxes')
    parser.add_argument('--output', type=Path, required=True)
    options = parser.parse_args()
    perceiver = Perceiver.load(options.checkpoint or shipped_weights(options.model))
    threshold = options.threshold
    if threshold is None:
        threshold = perceiver.info.default_score_threshold
    rows = []
    for pair in spread(open_pairs(options.dataset, options.split), options.count):
        frames = pair.frames()
        rows.append(np.hstack(tiles_of(frames, perceiver(frames), threshold)))
    cv2.imwrite(str(options.output), np.vstack(rows))
    print(f'{options.output}: {len(rows)} pairs')
    return 0


if __name__ == '__main__':
    sys.exit(main())
