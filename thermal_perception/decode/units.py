"""What the numbers of a thermal image mean. No message says it, so it is a parameter."""

from __future__ import annotations

from dataclasses import dataclass
import math
from typing import TYPE_CHECKING

from thermal_perception.errors import ConfigError

if TYPE_CHECKING:
    from thermal_perception.types import ThermalUnit


@dataclass(frozen=True)
class ThermalUnits:
    """`value_in_unit = image * scale + offset`.

    Attributes:
        unit: `counts` when no temperature is known, else `kelvin` or `celsius`.
        scale: unit per count, not zero.
        offset: value at zero counts, in `unit`.
        valid_bits: significant bits of the counts, None if unknown. Units of more than 8 bits do
            not apply to 8-bit images, whose contrast the camera has already changed.
    """

    unit: ThermalUnit = 'counts'
    scale: float = 1.0
    offset: float = 0.0
    valid_bits: int | None = None

    def __post_init__(self) -> None:
        """Refuse values no camera can have."""
        if self.unit not in ('counts', 'kelvin', 'celsius'):
            raise ConfigError(
                f'thermal units: found unit {self.unit!r}, expected counts, kelvin or celsius'
            )
        if not math.isfinite(self.scale) or self.scale == 0 or not math.isfinite(self.offset):
            raise ConfigError(
                f'thermal units: found scale {self.scale} and offset {self.offset}, '
                'expected finite numbers and a scale other than 0'
            )
        if self.valid_bits is not None and not 1 <= self.valid_bits <= 16:
            raise ConfigError(f'thermal units: found valid_bits {self.valid_bits}, expected 1..16')


COUNTS = ThermalUnits()

# Scales as the vendors document them: GenICam IRFormat TemperatureLinear10mK and 100mK of
# Teledyne FLIR, TLinear of Lepton 2.5 and 3.5 (high and low gain), Vue Pro R and Duo Pro R TIFF.
THERMAL_UNITS: dict[str, ThermalUnits] = {
    'counts': COUNTS,
    'y16_raw': ThermalUnits('counts', valid_bits=16),
    'y14_raw': ThermalUnits('counts', valid_bits=14),
    'temperature_linear_10mk': ThermalUnits('kelvin', 0.01, valid_bits=16),
    'temperature_linear_40mk': ThermalUnits('kelvin', 0.04, valid_bits=16),
    'temperature_linear_100mk': ThermalUnits('kelvin', 0.1, valid_bits=16),
    'lepton_10mk': ThermalUnits('kelvin', 0.01, valid_bits=16),
    'lepton_100mk': ThermalUnits('kelvin', 0.1, valid_bits=16),
    'kelvin': ThermalUnits('kelvin'),
    'celsius': ThermalUnits('celsius'),
}


def thermal_units(name: str) -> ThermalUnits:
    """Units by their name in `THERMAL_UNITS`.

    Raises:
        ConfigError: for an unknown name.
    """
    if name not in THERMAL_UNITS:
        known = ', '.join(THERMAL_UNITS)
        raise ConfigError(f'thermal units: found {name!r}, expected one of {known}')
    return THERMAL_UNITS[name]
