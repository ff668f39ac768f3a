"""The best and the worst images with what was there and what was found, for the page."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any, TYPE_CHECKING

import cv2
import numpy as np

from thermal_perception.evaluation.dataset import read_thermal_image

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from thermal_perception.types import Detections
    from training.report.judge import JudgedImage

_TRUTH, _FOUND, _REGION = (120, 220, 90), (60, 120, 255), (150, 150, 150)  # B, G, R
_WIDTH_PX = 560
_QUALITY = 80


@dataclass(frozen=True)
class Example:
    """An image for the page.

    Attributes:
        name: of its file.
        caption: how boxes and objects met.
        data_uri: the picture itself, JPEG.
    """

    name: str
    caption: str
    data_uri: str


def examples(images: Sequence[JudgedImage], count: int = 6) -> tuple[list[Example], list[Example]]:
    """Return the best and the worst images with objects, by F1, then by number of objects."""
    ranked = sorted(
        (i for i in images if len(i.truth) or len(i.found)),
        key=lambda i: (i.f1, i.count.found - i.count.missed - i.count.false, i.path.name),
    )
    worst, best = ranked[:count], ranked[::-1][:count]
    return [_example(i) for i in best], [_example(i) for i in worst]


def _example(image: JudgedImage) -> Example:
    count = image.count
    caption = f'{count.found} found, {count.missed} missed, {count.false} false'
    picture = _draw(read_thermal_image(image.path), image)
    _, data = cv2.imencode('.jpg', picture, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    text = base64.b64encode(data.tobytes()).decode()
    return Example(image.path.name, caption, f'data:image/jpeg;base64,{text}')


def _draw(raw: NDArray[Any], image: JudgedImage) -> NDArray[np.uint8]:
    """Grey picture with objects, boxes and regions, at the width of the page."""
    low, high = np.percentile(raw, (0.5, 99.5))
    grey = np.clip((raw - low) / max(high - low, 1e-6) * 255, 0, 255).astype(np.uint8)
    scale = _WIDTH_PX / raw.shape[1]
    size = (_WIDTH_PX, round(raw.shape[0] * scale))
    canvas = cv2.cvtColor(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), cv2.COLOR_GRAY2BGR)
    for box in image.regions_xyxy_px:
        _rectangle(canvas, box * scale, _REGION)
    _boxes(canvas, image.truth, scale, _TRUTH, grow=1)
    _boxes(canvas, image.found, scale, _FOUND, grow=0)
    return np.asarray(canvas, np.uint8)


def _boxes(
    canvas: NDArray[Any], boxes: Detections, scale: float, colour: tuple[int, int, int], grow: int
) -> None:
    for box in boxes.boxes_xyxy_px * scale:
        _rectangle(canvas, box + np.array([-grow, -grow, grow, grow]), colour)


def _rectangle(
    canvas: NDArray[Any], box: NDArray[np.floating], colour: tuple[int, int, int]
) -> None:
    x1, y1, x2, y2 = box.round().astype(int).tolist()
    cv2.rectangle(canvas, (x1, y1), (x2, y2), colour, 1, cv2.LINE_AA)
