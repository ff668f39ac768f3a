"""Thermal transforms: raw counts or kelvin of one frame to float32 in 0..1.

A transform is chosen by name, runs on the unresized frame before any augmentation, and belongs to
the model: training and the robot use the same one.

==================  ======================================  ===================================
name                definition                              remark
==================  ======================================  ===================================
`identity8`         x / 255                                 the camera already made 8 bits
`fullscale`         x / (2^bits - 1)                        absolute, contrast usually tiny
`window`            clip((x - low) / (high - low), 0, 1)    fixed limits, counts or kelvin
`percentile`        `window` between p1 and p99 of a frame  default above 8 bit
`clahe`             `percentile`, then CLAHE                local contrast, and noise
`dataset_window`    `window`, limits from a training set    no flicker between frames
==================  ======================================  ===================================

`percentile` and `clahe` discard absolute temperature: the same person looks different in another
scene. All but `clahe` are monotone. Transforms hold no state, so threads may share one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TYPE_CHECKING

import cv2
import numpy as np

from thermal_perception.config import from_mapping, to_mapping
from thermal_perception.errors import ConfigError, PreprocessError
from thermal_perception.preprocess.levels import Levels, quantise, stretch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from thermal_perception.types import Frame, ThermalUnit

CELSIUS_ZERO_KELVIN = 273.15

# Large frames give their percentiles and their median from a regular grid of at least this many
# pixels: 0.05 ms instead of 3.9 ms at 640x512, and the rank is off by about 0.001.
_SAMPLE_PIXELS = 16_384


@dataclass(frozen=True, kw_only=True)
class ThermalTransform(ABC):
    """Turns one thermal image into float32 in 0..1.

    Attributes:
        dead_values: raw values that mark a dead pixel, for example `(0,)`; such pixels become the
            frame's median before anything else. NaN and infinities always do.
    """

    name: ClassVar[str]
    dead_values: tuple[float, ...] = ()

    def __call__(
        self,
        image: NDArray[Any],
        valid_bits: int | None = None,
        *,
        scale: float = 1.0,
        offset: float = 0.0,
        unit: ThermalUnit = 'counts',
        dead: NDArray[np.bool_] | None = None,
        out: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        """Transform one image.

        Args:
            image: (H, W) uint8, uint16 or floating point; may be a read-only view.
            valid_bits: significant bits of an integer image; None means all of its type.
            scale: `value_in_unit = image * scale + offset`; only windows in kelvin look at it.
            offset: see `scale`.
            unit: unit of the scaled value.
            dead: (H, W) bool map of the camera's dead pixels.
            out: (H, W) float32 C-contiguous array to write into, else a new one is made.

        Returns:
            (H, W) float32 in 0..1; all zeros when the frame carries no contrast.

        Raises:
            PreprocessError: if the image has another shape or type, or lacks the unit needed.
        """
        clean = _replace_dead(_checked(image), self.dead_values, dead)
        result = _output_for(clean, out)
        stretch(self._levels(clean, valid_bits, _ToKelvin(scale, offset, unit)), result)
        return result

    def levels(self, frame: Frame) -> Levels:
        """Do all but the last step for a decoded frame: `apply` is this, stretched.

        Raises:
            PreprocessError: see a call.
        """
        clean = _replace_dead(_checked(frame.image), self.dead_values, None)
        return self._levels(
            clean, frame.valid_bits, _ToKelvin(frame.scale, frame.offset, frame.unit)
        )

    def apply(self, frame: Frame, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Transform a decoded frame, using its valid bits and unit."""
        return self(
            frame.image,
            frame.valid_bits,
            scale=frame.scale,
            offset=frame.offset,
            unit=frame.unit,
            out=out,
        )

    @property
    def params(self) -> dict[str, Any]:
        """Parameters as plain values: `make_thermal_transform(t.name, **t.params) == t`."""
        return to_mapping(self)

    @abstractmethod
    def _levels(self, image: NDArray[Any], valid_bits: int | None, to_kelvin: _ToKelvin) -> Levels:
        """Return what to stretch of an (H, W) uint8, uint16 or finite float32 image."""


@dataclass(frozen=True, kw_only=True)
class Identity8(ThermalTransform):
    """x / 255 for cameras that deliver 8 bits."""

    name: ClassVar[str] = 'identity8'

    def _levels(self, image: NDArray[Any], valid_bits: int | None, to_kelvin: _ToKelvin) -> Levels:
        if image.dtype != np.uint8 and valid_bits != 8:
            raise PreprocessError(
                f'identity8: found {image.dtype} with {valid_bits} valid bits, expected 8 bits; '
                'use percentile, window or fullscale for deeper images'
            )
        return Levels(image, 0.0, 255.0)


@dataclass(frozen=True, kw_only=True)
class Fullscale(ThermalTransform):
    """x / (2^bits - 1), which keeps the absolute scale of the counts.

    Attributes:
        bits: depth of the counts; None takes the image's `valid_bits`, else those of its type.
    """

    name: ClassVar[str] = 'fullscale'
    bits: int | None = None

    def __post_init__(self) -> None:
        """Refuse impossible depths."""
        if self.bits is not None and not 1 <= self.bits <= 32:
            raise ConfigError(f'fullscale: found bits {self.bits}, expected 1..32')

    def _levels(self, image: NDArray[Any], valid_bits: int | None, to_kelvin: _ToKelvin) -> Levels:
        bits = self.bits or valid_bits
        if bits is None and image.dtype.kind == 'f':
            raise PreprocessError(f'fullscale: found {image.dtype} of unknown depth, set bits')
        bits = bits or 8 * image.dtype.itemsize
        return Levels(image, 0.0, float(2**bits - 1))


@dataclass(frozen=True, kw_only=True)
class Window(ThermalTransform):
    """clip((x - low) / (high - low), 0, 1) with fixed limits: comparable between frames.

    Attributes:
        low: value that becomes 0.
        high: value that becomes 1, above `low`.
        unit: `counts` (raw image values) or `kelvin` (needs frames with a known temperature).
    """

    name: ClassVar[str] = 'window'
    low: float
    high: float
    unit: Literal['counts', 'kelvin'] = 'counts'

    def __post_init__(self) -> None:
        """Refuse an empty or reversed window."""
        if not -np.inf < self.low < self.high < np.inf:
            raise ConfigError(
                f'{self.name}: found low {self.low} and high {self.high}, expected low < high'
            )

    def _levels(self, image: NDArray[Any], valid_bits: int | None, to_kelvin: _ToKelvin) -> Levels:
        if self.unit == 'counts':
            return Levels(image, self.low, self.high)
        return Levels(image, to_kelvin.counts_at(self.low), to_kelvin.counts_at(self.high))


@dataclass(frozen=True, kw_only=True)
class DatasetWindow(Window):
    """A `window` whose limits are percentiles over a training set: no flicker in video.

    `dataset_window_limits` finds the limits; they are stored with the model.
    """

    name: ClassVar[str] = 'dataset_window'


@dataclass(frozen=True, kw_only=True)
class Percentile(ThermalTransform):
    """A `window` between two percentiles of each frame; discards absolute temperature.

    Attributes:
        low_percentile: percentile of the frame that becomes 0.
        high_percentile: percentile of the frame that becomes 1.
    """

    name: ClassVar[str] = 'percentile'
    low_percentile: float = 1.0
    high_percentile: float = 99.0

    def __post_init__(self) -> None:
        """Refuse percentiles that are reversed or outside 0..100."""
        _check_percentiles(self.name, self.low_percentile, self.high_percentile)

    def _levels(self, image: NDArray[Any], valid_bits: int | None, to_kelvin: _ToKelvin) -> Levels:
        limits = frame_percentiles(image, self.low_percentile, self.high_percentile)
        return Levels(image, *limits)


@dataclass(frozen=True, kw_only=True)
class Clahe(Percentile):
    """`percentile` to 8 or 16 bit, then contrast limited adaptive histogram equalisation.

    Attributes:
        bits: 8 or 16; 16 keeps faint steps apart and takes about ten times as long.
        clip_limit: how far a histogram bin may rise above the tile's average.
        tiles: number of tiles (down, across).
    """

    name: ClassVar[str] = 'clahe'
    bits: Literal[8, 16] = 8
    clip_limit: float = 2.0
    tiles: tuple[int, int] = (8, 8)

    def __post_init__(self) -> None:
        """Refuse limits and tiles that OpenCV would take silently."""
        _check_percentiles(self.name, self.low_percentile, self.high_percentile)
        if not 0 < self.clip_limit < np.inf:
            raise ConfigError(f'clahe: found clip_limit {self.clip_limit}, expected above 0')
        if min(self.tiles) < 1:
            raise ConfigError(f'clahe: found tiles {self.tiles}, expected at least (1, 1)')

    def _levels(self, image: NDArray[Any], valid_bits: int | None, to_kelvin: _ToKelvin) -> Levels:
        levels = super()._levels(image, valid_bits, to_kelvin)
        if levels.is_flat:  # equalising a constant frame would make contrast from nothing
            return levels
        steps = quantise(levels, self.bits)
        down, across = (min(t, n) for t, n in zip(self.tiles, image.shape, strict=True))
        # One object per call: cv2.CLAHE keeps buffers, so threads must not share it.
        equalised = cv2.createCLAHE(self.clip_limit, (across, down)).apply(steps.image)
        return steps._replace(image=equalised)


THERMAL_TRANSFORMS: dict[str, type[ThermalTransform]] = {
    cls.name: cls for cls in (Identity8, Fullscale, Window, Percentile, Clahe, DatasetWindow)
}


def make_thermal_transform(name: str, **params: Any) -> ThermalTransform:
    """Build a transform by its name in `THERMAL_TRANSFORMS` from plain values.

    Raises:
        ConfigError: for an unknown name or parameter, or a value out of range.
    """
    if name not in THERMAL_TRANSFORMS:
        known = ', '.join(THERMAL_TRANSFORMS)
        raise ConfigError(f'thermal transform: found {name!r}, expected one of {known}')
    return from_mapping(THERMAL_TRANSFORMS[name], params, where=f'thermal transform {name}')


def default_transform_name(dtype: np.dtype[Any] | type[np.generic]) -> str:
    """Name of the default for an image type: `identity8` for uint8, else `percentile`."""
    return 'identity8' if np.dtype(dtype) == np.uint8 else 'percentile'


def dataset_window_limits(
    images: Iterable[NDArray[Any]],
    low_percentile: float = 1.0,
    high_percentile: float = 99.0,
) -> tuple[float, float]:
    """Find the limits of a `dataset_window`: percentiles over all pixels of integer images.

    Args:
        images: (H, W) uint8 or uint16 counts; read once, so a generator will do.
        low_percentile: percentile of all pixels that becomes 0.
        high_percentile: percentile of all pixels that becomes 1.

    Returns:
        low and high in counts.

    Raises:
        PreprocessError: if there is no image, one is not of integers, or all pixels are equal.
    """
    _check_percentiles('dataset_window', low_percentile, high_percentile)
    histogram = np.zeros(65536, np.int64)
    for image in images:
        if image.dtype not in (np.uint8, np.uint16):
            raise PreprocessError(f'dataset_window: found {image.dtype}, expected uint8 or uint16')
        histogram += np.bincount(image.reshape(-1), minlength=65536)
    total = int(histogram.sum())
    if total == 0:
        raise PreprocessError('dataset_window: found no pixel, expected at least one image')
    ranks = np.array([low_percentile, high_percentile]) / 100.0 * (total - 1)
    low, high = np.searchsorted(np.cumsum(histogram), ranks, side='right')
    if low == high:
        raise PreprocessError(f'dataset_window: both percentiles are {low} counts')
    return float(low), float(high)


def frame_percentiles(
    image: NDArray[Any], low_percentile: float, high_percentile: float
) -> tuple[float, float]:
    """Two percentiles of a finite frame, linear between ranks as in `np.percentile`.

    Large frames are sampled on a regular grid of at least 16,384 pixels.
    """
    sample = _sample(image)
    return _percentile(sample, low_percentile), _percentile(sample, high_percentile)


@dataclass(frozen=True)
class _ToKelvin:
    """How image values become kelvin, if they do."""

    scale: float
    offset: float
    unit: ThermalUnit

    def counts_at(self, kelvin: float) -> float:
        """Image value that stands for a temperature."""
        if self.unit == 'counts' or self.scale == 0.0:
            raise PreprocessError(
                f'window in kelvin: found an image in {self.unit} with scale {self.scale}, '
                'expected a known temperature; set the thermal units or use a window in counts'
            )
        offset = self.offset + (CELSIUS_ZERO_KELVIN if self.unit == 'celsius' else 0.0)
        return (kelvin - offset) / self.scale


def _sample(image: NDArray[Any]) -> NDArray[np.generic]:
    """Flat copy of the pixels on the sampling grid, of a type that numpy selects fast."""
    return _sortable(image[_grid(*image.shape)]).reshape(-1)


def _sortable(values: NDArray[Any]) -> NDArray[np.generic]:
    # numpy's vectorised selection covers 32-bit numbers on more processors than 16-bit ones.
    return values.astype(np.float32 if values.dtype.kind == 'f' else np.int32)


def _grid(height: int, width: int) -> tuple[slice, slice]:
    """Rows and columns of a regular grid of at least `_SAMPLE_PIXELS`, or all of a small frame."""
    step = int((height * width / _SAMPLE_PIXELS) ** 0.5)
    down, across = (max(1, min(step, side // 64)) for side in (height, width))
    return slice(down // 2, None, down), slice(across // 2, None, across)


def _percentile(values: NDArray[Any], percentile: float) -> float:
    """Percentile of a flat array, which is reordered in place."""
    rank = percentile / 100.0 * (len(values) - 1)
    below = int(rank)
    values.partition(below)
    lower = float(values[below])
    if rank == below:
        return lower
    return lower + (rank - below) * (float(values[below + 1 :].min()) - lower)


def _replace_dead(
    image: NDArray[Any], dead_values: tuple[float, ...], dead: NDArray[np.bool_] | None
) -> NDArray[Any]:
    """Return the image with dead and non-finite pixels at the median of the others."""
    bad = _bad_pixels(image, dead_values, dead)
    if bad is None:
        return image
    fixed = image.copy()
    np.copyto(fixed, fixed.dtype.type(_median_of(image, ~bad)), where=bad)
    return fixed


def _bad_pixels(
    image: NDArray[Any], dead_values: tuple[float, ...], dead: NDArray[np.bool_] | None
) -> NDArray[np.bool_] | None:
    """(H, W) bool map of pixels to replace, None if there are none."""
    bad: NDArray[np.bool_] | None = None
    if dead is not None:
        if dead.shape != image.shape or dead.dtype != np.bool_:
            raise PreprocessError(
                f'dead pixel map: found {dead.dtype} {dead.shape}, expected bool {image.shape}'
            )
        bad = dead
    if dead_values:
        marked = np.isin(image, dead_values)
        bad = marked if bad is None else bad | marked
    if image.dtype.kind == 'f':
        finite = np.isfinite(image)
        if np.count_nonzero(finite) < finite.size:  # several times faster than all()
            bad = ~finite if bad is None else bad | ~finite
    return bad if bad is not None and np.count_nonzero(bad) else None


def _median_of(image: NDArray[Any], good: NDArray[np.bool_]) -> float:
    """Median of the good pixels, sampled in large frames; 0 when there are none."""
    grid = _grid(*image.shape)
    values = image[grid][good[grid]]
    if values.size == 0:
        values = image[good]
    return _percentile(_sortable(values), 50.0) if values.size else 0.0


def _checked(image: NDArray[Any]) -> NDArray[np.generic]:
    """Return the image as uint8, uint16 or float32."""
    if image.ndim != 2 or image.size == 0:
        raise PreprocessError(f'thermal image: found shape {image.shape}, expected (H, W)')
    if image.dtype in (np.uint8, np.uint16, np.float32):
        return image
    if image.dtype.kind == 'f':
        with np.errstate(over='ignore'):  # beyond float32 is infinite: a dead pixel
            return image.astype(np.float32)
    raise PreprocessError(
        f'thermal image: found {image.dtype}, expected uint8, uint16 or floating point'
    )


def _output_for(image: NDArray[Any], out: NDArray[np.float32] | None) -> NDArray[np.float32]:
    if out is None:
        return np.empty(image.shape, np.float32)
    if out.shape != image.shape or out.dtype != np.float32 or not out.flags.carray:
        raise PreprocessError(
            f'out: found {out.dtype} {out.shape}, expected C-contiguous float32 {image.shape}'
        )
    return out


def _check_percentiles(name: str, low: float, high: float) -> None:
    if not 0.0 <= low < high <= 100.0:
        raise ConfigError(
            f'{name}: found percentiles {low} and {high}, expected 0 <= low < high <= 100'
        )
