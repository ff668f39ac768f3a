"""The last step of every thermal transform: levels of an image to float32 in 0..1."""

from __future__ import annotations

from typing import Any, NamedTuple, TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Below this share of its magnitude, or below float32's normal range, a span is not signal.
_RELATIVE_EPS = 1e-7
_TINY = float(np.finfo(np.float32).tiny)


class Levels(NamedTuple):
    """A thermal image that only has to be stretched.

    Attributes:
        image: (H, W) uint8, uint16 or finite float32, without bad pixels.
        low: level that becomes 0.
        high: level that becomes 1.
    """

    image: NDArray[Any]
    low: float
    high: float

    @property
    def is_flat(self) -> bool:
        """True if the span of the limits is rounding rather than signal."""
        magnitude = max(abs(self.low), abs(self.high))
        return abs(self.high - self.low) <= max(_TINY, _RELATIVE_EPS * magnitude)

    @property
    def ramp(self) -> tuple[float, float]:
        """Offset and gain: clip((image - offset) * gain, 0, 1) is the stretched image."""
        return (0.0, 0.0) if self.is_flat else (self.low, 1.0 / (self.high - self.low))


def stretch(levels: Levels, out: NDArray[np.float32]) -> None:
    """Write clip((image - low) / (high - low), 0, 1), or zeros if the levels are flat.

    Args:
        levels: of (H, W).
        out: (H, W) float32, C-contiguous.
    """
    image, low, high = levels
    if levels.is_flat:
        out.fill(0.0)
    elif image.dtype == np.uint8:
        ramp = np.clip((np.arange(256) - low) / (high - low), 0.0, 1.0)
        cv2.LUT(image, ramp.astype(np.float32), dst=out)
    else:  # subtract first: values may be large and close together
        offset, gain = levels.ramp
        with np.errstate(over='ignore'):  # infinity is clipped below
            np.subtract(image, np.float32(offset), out=out, dtype=np.float32)
            np.multiply(out, np.float32(gain), out=out)
        np.clip(out, 0.0, 1.0, out=out)


def quantise(levels: Levels, bits: int) -> Levels:
    """Round the stretched image to levels of 0..2^bits - 1, uint8 or uint16; `bits` is 8 or 16."""
    full = 2.0**bits - 1.0
    unit = np.empty(levels.image.shape, np.float32)
    stretch(levels, unit)
    depth = cv2.CV_8U if bits == 8 else cv2.CV_16U
    image = np.asarray(cv2.addWeighted(unit, full, unit, 0.0, 0.0, dtype=depth))  # rounds
    return Levels(image, 0.0, full)
