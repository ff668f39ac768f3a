"""Counts of a radiometric camera to temperature, by the camera's own Planck constants.

Source: Teledyne FLIR's published measurement formula, with the atmosphere model that its files
carry constants for (alpha, beta, X). Cameras with a linear temperature output need none of this;
their scale is in `ThermalUnits`.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
import math
from typing import TYPE_CHECKING

import numpy as np

from thermal_perception.errors import ConfigError, DecodeError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from thermal_perception.types import Frame

CELSIUS_ZERO_KELVIN = 273.15


@dataclass(frozen=True)
class PlanckConstants:
    """Calibration of one camera and lens: `counts = R1 / (R2 (exp(B / T) - F)) - O`.

    Attributes:
        R1: radiance constant, counts.
        R2: gain between radiance and counts; 1 where a file merges it into `R1`.
        B: spectral constant, kelvin; about 1400 to 1510 for 8-14 um cameras.
        F: spectral correction, 0.5 to 2, nearly always 1.
        O: offset, counts, negative.
    """

    R1: float
    B: float
    F: float
    O: float  # noqa: E741  the name the files use
    R2: float = 1.0

    def __post_init__(self) -> None:
        """Refuse constants that give no temperature."""
        if not (min(self.R1, self.R2, self.B) > 0.0 and math.isfinite(self.F + self.O)):
            raise ConfigError(f'{self}: expected R1, R2 and B above 0 and finite F and O')

    def kelvin(self, counts: ArrayLike) -> NDArray[np.float64]:
        """Black-body temperature of counts of any shape, kelvin; NaN where there is none."""
        radiance = self.R2 * (np.asarray(counts, np.float64) + self.O)
        with np.errstate(divide='ignore', invalid='ignore'):
            exponential = self.R1 / radiance + self.F
            kelvin = self.B / np.log(exponential)
        return np.where((radiance > 0.0) & (exponential > 1.0), kelvin, np.nan)

    def counts(self, kelvin: ArrayLike) -> NDArray[np.float64]:
        """Counts that a black body gives; kelvin of any shape, above 0."""
        exponential = np.exp(self.B / np.asarray(kelvin, np.float64))
        return np.asarray(self.R1 / (self.R2 * (exponential - self.F)) - self.O)


@dataclass(frozen=True)
class ViewingConditions:
    """What lies between a surface and the sensor; the default is a black body in no air.

    Attributes:
        emissivity: of the surface, above 0 and at most 1; skin 0.98, asphalt 0.95.
        reflected_kelvin: apparent temperature of what the surface mirrors.
        atmosphere_kelvin: temperature of the air.
        distance_m: length of the path through the air, metres.
        relative_humidity: 0..1.
        window_kelvin: temperature of a protective window.
        window_transmission: of that window, above 0 and at most 1.
        alpha: attenuation of the two bands of the air without vapour, per square root of a metre.
        beta: attenuation of the two bands by vapour.
        X: weight of the first band.
    """

    emissivity: float = 1.0
    reflected_kelvin: float = 293.15
    atmosphere_kelvin: float = 293.15
    distance_m: float = 0.0
    relative_humidity: float = 0.5
    window_kelvin: float = 293.15
    window_transmission: float = 1.0
    alpha: tuple[float, float] = (0.006569, 0.01262)
    beta: tuple[float, float] = (-0.002276, -0.00667)
    X: float = 1.9

    def __post_init__(self) -> None:
        """Refuse values outside physics."""
        for name in ('emissivity', 'window_transmission'):
            if not 0.0 < getattr(self, name) <= 1.0:
                raise ConfigError(
                    f'{name}: found {getattr(self, name)}, expected above 0, up to 1'
                )
        if not (0.0 <= self.relative_humidity <= 1.0 and 0.0 <= self.distance_m < math.inf):
            raise ConfigError(
                f'found relative_humidity {self.relative_humidity} and distance_m '
                f'{self.distance_m}, expected 0..1 and at least 0'
            )

    def air_transmission(self) -> float:
        """Share of the radiation that passes half of the path, as the measurement formula asks."""
        celsius = self.atmosphere_kelvin - CELSIUS_ZERO_KELVIN
        # Water in the air, g/m3, by the polynomial that belongs to alpha, beta and X.
        water = self.relative_humidity * math.exp(
            1.5587 + 0.06939 * celsius - 0.00027816 * celsius**2 + 6.8455e-7 * celsius**3
        )
        path = math.sqrt(self.distance_m / 2.0)
        bands = [
            math.exp(-path * (a + b * math.sqrt(water)))
            for a, b in zip(self.alpha, self.beta, strict=True)
        ]
        return self.X * bands[0] + (1.0 - self.X) * bands[1]


def object_kelvin(
    counts: ArrayLike, planck: PlanckConstants, conditions: ViewingConditions | None = None
) -> NDArray[np.float64]:
    """Temperature of a surface from raw counts.

    Args:
        counts: raw counts of any shape.
        planck: calibration of the camera.
        conditions: emissivity, mirrored surroundings, air and window; None for a black body.

    Returns:
        Kelvin, of the shape of `counts`; NaN where the counts are below what the calibration or
        the conditions allow.
    """
    counts = np.asarray(counts, np.float64)
    if conditions is None:
        return planck.kelvin(counts)
    return planck.kelvin(_object_counts(counts, planck, conditions))


def kelvin_table(
    planck: PlanckConstants, conditions: ViewingConditions | None = None
) -> NDArray[np.float32]:
    """(65536,) float32 kelvin of every 16-bit count, for `frame_in_kelvin`."""
    return object_kelvin(np.arange(65536), planck, conditions).astype(np.float32)


def frame_in_kelvin(frame: Frame, table: NDArray[np.float32]) -> Frame:
    """Turn a frame of raw counts into float32 kelvin, about 0.5 ms at 640x512.

    Args:
        frame: thermal frame of uint16 counts.
        table: (65536,) from `kelvin_table`; counts without a temperature become NaN.

    Raises:
        DecodeError: cause `unsupported_encoding` if the frame is not of uint16 counts.
        ConfigError: if the table has another shape.
    """
    if table.shape != (65536,):
        raise ConfigError(f'kelvin table: found shape {table.shape}, expected (65536,)')
    if frame.image.dtype != np.uint16 or frame.unit != 'counts':
        raise DecodeError(
            f'Planck conversion: found {frame.image.dtype} in {frame.unit} '
            f'(encoding {frame.encoding!r}), expected uint16 counts',
            cause='unsupported_encoding',
        )
    # A 16-bit count cannot miss the table; `clip` skips the check, which costs most of the time.
    kelvin = np.take(table, frame.image.astype(np.intp), mode='clip')
    return dataclasses.replace(frame, image=kelvin, valid_bits=None, unit='kelvin')


def _object_counts(
    counts: NDArray[np.float64], planck: PlanckConstants, conditions: ViewingConditions
) -> NDArray[np.float64]:
    """Counts of the surface alone: seen = what it emits and mirrors, dimmed, plus air and window.

    The path is surface, air, window, air, sensor, with half of the air on either side.
    """
    air, window = conditions.air_transmission(), conditions.window_transmission
    air_counts = planck.counts(conditions.atmosphere_kelvin)
    window_counts = planck.counts(conditions.window_kelvin)
    before_window = (counts - (1.0 - air) * air_counts) / air
    behind_window = (before_window - (1.0 - window) * window_counts) / window
    surface = (behind_window - (1.0 - air) * air_counts) / air
    mirrored = (1.0 - conditions.emissivity) * planck.counts(conditions.reflected_kelvin)
    return np.asarray((surface - mirrored) / conditions.emissivity)
