"""The best and the worst images with what was there and what was found, for the page."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any, TYPE_CHECKING

import cv2
import numpy as np

from thermal_perception.evaluation.image_files import read_thermal_image

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from thermal_perception.types import Detections
    from training.report.judge import JudgedImage

_MISSED, _FALSE = (120, 220, 90), (60, 120, 255)  # B, G, R
_HIT, _REGION = (230, 200, 120), (150, 150, 150)
_WIDTH_PX = 560
_QUALITY = 80
# Neighbours in the order of names often are frames of one flight or drive.
_APART = 5


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
    """Return the best and the worst images with objects, by F1, then by number of objects.

    Images next to a chosen one in the order of names are passed over, where there are many.
    """
    images = sorted(images, key=lambda image: image.path.name)
    apart = min(_APART, len(images) // (4 * count))

    def rank(number: int) -> tuple[float, int, str]:
        image = images[number]
        met = image.count
        return image.f1, met.found - met.missed - met.false, image.path.name

    ranked = sorted((n for n, i in enumerate(images) if len(i.truth) or len(i.found)), key=rank)
    worst, best = (spread(order, apart)[:count] for order in (ranked, ranked[::-1]))
    return [_example(images[n]) for n in best], [_example(images[n]) for n in worst]


def spread(ranked: Sequence[int], apart: int) -> list[int]:
    """Leave out numbers at most `apart` from one that came before."""
    kept: list[int] = []
    for number in ranked:
        if all(abs(number - other) > apart for other in kept):
            kept.append(number)
    return kept


def to_shades(raw: NDArray[Any]) -> NDArray[np.uint8]:
    """Return a thermal image (H, W) as (H, W, 3) greys; its outermost percent is cut off."""
    low, high = np.percentile(raw, (0.5, 99.5))
    grey = np.clip((raw - low) / max(high - low, 1e-6) * 255, 0, 255).astype(np.uint8)
    return np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR), np.uint8)


def to_data_uri(picture: NDArray[np.uint8]) -> str:
    """Return a picture (H, W, 3), B, G, R, as a JPEG that stands in the page itself."""
    _, data = cv2.imencode('.jpg', picture, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    text = base64.b64encode(data.tobytes()).decode()
    return f'data:image/jpeg;base64,{text}'


def _example(image: JudgedImage) -> Example:
    count = image.count
    caption = f'{count.found} found, {count.missed} missed, {count.false} false'
    picture = _draw(read_thermal_image(image.path), image)
    return Example(image.path.name, caption, to_data_uri(picture))


def _draw(raw: NDArray[Any], image: JudgedImage) -> NDArray[np.uint8]:
    """Grey picture with objects, boxes and regions, at the width of the page."""
    scale = _WIDTH_PX / raw.shape[1]
    size = (_WIDTH_PX, round(raw.shape[0] * scale))
    canvas = cv2.resize(to_shades(raw), size, interpolation=cv2.INTER_AREA)
    for box in image.regions_xyxy_px:
        _rectangle(canvas, box * scale, _REGION)
    false, missed = image.matching.false, image.matching.missed
    for box in image.found.boxes_xyxy_px[~false] * scale:
        _rectangle(canvas, box, _HIT)
    _named(canvas, image.truth, missed, scale, _MISSED)
    _named(canvas, image.found, false, scale, _FALSE)
    return np.asarray(canvas, np.uint8)


def _named(
    canvas: NDArray[Any],
    boxes: Detections,
    which: NDArray[np.bool_],
    scale: float,
    colour: tuple[int, int, int],
) -> None:
    """Draw boxes with the names of their classes."""
    for box, label in zip(boxes.boxes_xyxy_px[which] * scale, boxes.labels[which], strict=True):
        _rectangle(canvas, box, colour)
        at = (max(0, round(float(box[0]))), max(9, round(float(box[1])) - 2))
        name = boxes.class_names[label]
        cv2.putText(canvas, name, at, cv2.FONT_HERSHEY_SIMPLEX, 0.32, colour, 1, cv2.LINE_AA)


def _rectangle(
    canvas: NDArray[Any], box: NDArray[np.floating], colour: tuple[int, int, int]
) -> None:
    x1, y1, x2, y2 = box.round().astype(int).tolist()
    cv2.rectangle(canvas, (x1, y1), (x2, y2), colour, 1, cv2.LINE_AA)
