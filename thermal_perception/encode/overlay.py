"""Draw boxes over an image: numpy and OpenCV, no ROS."""

from __future__ import annotations

from typing import Any, TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thermal_perception.types import Detections

Colour = tuple[int, int, int]

# B, G, R. Bright and far apart in hue, so that they show on grey; first ones by label.
PALETTE: tuple[Colour, ...] = (
    (66, 133, 255),  # orange
    (255, 196, 0),  # sky blue
    (97, 230, 77),  # green
    (214, 92, 255),  # pink
    (0, 230, 255),  # yellow
    (255, 112, 112),  # violet blue
    (180, 255, 0),  # turquoise
    (90, 90, 255),  # red
)

# Contrast limits come from about this many values; all of them would cost ten times as long.
_SAMPLE_VALUES = 20_000
_LOW_PERCENT, _HIGH_PERCENT = 0.5, 99.5
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def draw_overlay(image: NDArray[Any], detections: Detections) -> NDArray[np.uint8]:
    """Draw labelled boxes over a thermal or fused image.

    Args:
        image: (H, W, 3) uint8 BGR, or (H, W) uint8, uint16 or float32; integers above 8 bits and
            floats are stretched between their percentiles 0.5 and 99.5 for display.
        detections: boxes in pixels of that image.

    Returns:
        (H, W, 3) uint8 BGR, a new array.
    """
    canvas = np.array(image) if image.ndim == 3 else to_encoding(to_display(image), 'bgr8')
    thickness = max(1, round(min(canvas.shape[:2]) / 400))
    # The best box comes first in the arrays and is drawn last, on top.
    for box, score, label in reversed(
        list(zip(detections.boxes_xyxy_px, detections.scores, detections.labels))
    ):
        colour = PALETTE[int(label) % len(PALETTE)]
        x1, y1, x2, y2 = (int(v) for v in np.rint(np.clip(box, -(2**15), 2**15)))
        cv2.rectangle(canvas, (x1, y1), (x2 - 1, y2 - 1), colour, thickness, cv2.LINE_8)
        _draw_label(canvas, f'{detections.class_names[label]} {score:.2f}', (x1, y1, y2), colour)
    return np.asarray(canvas, np.uint8)


def to_display(image: NDArray[Any]) -> NDArray[np.uint8]:
    """Return a thermal image as (H, W) uint8 grey; 8-bit images stay as they are.

    NaN becomes black, infinity the end of the range it lies on; a constant image is all black.
    """
    if image.dtype == np.uint8:
        return image.view(np.uint8)
    low, high = _limits(image)
    if high <= low:
        return np.zeros(image.shape, np.uint8)
    scale = 255.0 / (high - low)
    if image.dtype == np.uint16:  # saturates at both ends: 0.3 ms where float32 needs 2
        return np.asarray(cv2.convertScaleAbs(cv2.subtract(image, low), alpha=scale), np.uint8)
    grey = np.clip((image.astype(np.float32) - low) * scale, 0, 255)
    return np.nan_to_num(grey).astype(np.uint8)


def to_encoding(image: NDArray[np.uint8], encoding: str) -> NDArray[np.uint8]:
    """Return a grey or BGR image as `bgr8` or `mono8`; the image itself if it is that already."""
    if (encoding == 'bgr8') == (image.ndim == 3):
        return image
    code = cv2.COLOR_GRAY2BGR if encoding == 'bgr8' else cv2.COLOR_BGR2GRAY
    return np.asarray(cv2.cvtColor(image, code), np.uint8)


def _limits(image: NDArray[Any]) -> tuple[float, float]:
    step = max(1, int((image.size / _SAMPLE_VALUES) ** 0.5))
    sample = image[::step, ::step]
    if sample.dtype.kind == 'f':
        sample = sample[np.isfinite(sample)]
    if not sample.size:
        return 0.0, 0.0
    low, high = np.percentile(sample, (_LOW_PERCENT, _HIGH_PERCENT))
    return float(low), float(high)


def _draw_label(
    canvas: NDArray[Any], text: str, corner: tuple[int, int, int], colour: Colour
) -> None:
    """Write on a filled bar above the box, or below it where the image ends."""
    x1, y1, y2 = corner
    scale = max(0.35, min(canvas.shape[:2]) / 1400)
    (width, height), baseline = cv2.getTextSize(text, _FONT, scale, 1)
    bar = height + baseline + 1
    top = y1 - bar if y1 >= bar else min(y2, canvas.shape[0] - bar)
    left = max(0, min(x1, canvas.shape[1] - width))
    cv2.rectangle(canvas, (left, top), (left + width, top + bar - 1), colour, cv2.FILLED)
    cv2.putText(canvas, text, (left, top + height), _FONT, scale, (0, 0, 0), 1, cv2.LINE_AA)
