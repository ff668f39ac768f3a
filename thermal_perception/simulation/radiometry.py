"""Heat seen by a sensor: in-band radiance, emissivity, air, and the counts a camera writes.

Radiance between 8 and 14 micrometres is `1 / (exp(B / T) - F)`, the form thermal cameras are
calibrated with, in units of the camera's gain.
"""

from __future__ import annotations

from typing import Literal, TYPE_CHECKING

import numpy as np

from thermal_perception.errors import SimulationError

if TYPE_CHECKING:
    from numpy.typing import NDArray

PLANCK_B = 1428.0  # kelvin; typical of an uncooled camera with a germanium lens
PLANCK_F = 1.0
CELSIUS = 273.15

# Planck counts: 14 bits over about -40 to 150 C in high gain.
RAW_GAIN = 350_000.0
RAW_OFFSET = 100.0

CountsModel = Literal['temperature_linear_10mk', 'temperature_linear_100mk', 'planck_14bit']


def radiance(kelvin: NDArray[np.floating]) -> NDArray[np.floating]:
    """In-band radiance of a black body, of any shape."""
    return 1.0 / (np.exp(PLANCK_B / kelvin) - PLANCK_F)


def apparent_kelvin(radiance_value: NDArray[np.floating]) -> NDArray[np.floating]:
    """Temperature of the black body with that radiance; inverse of `radiance`."""
    return PLANCK_B / np.log(1.0 / radiance_value + PLANCK_F)


def seen_kelvin(
    kelvin: NDArray[np.floating],
    *,
    emissivity: NDArray[np.floating] | float,
    reflected_kelvin: NDArray[np.floating] | float,
    air_kelvin: float,
    transmission: NDArray[np.floating] | float,
) -> NDArray[np.floating]:
    """Apparent temperature of a grey surface seen through air.

    The surface adds `1 - emissivity` of what it mirrors, the air replaces `1 - transmission`
    of what it hides with its own glow.

    Args:
        kelvin: true surface temperatures; all other arrays broadcast with it.
        emissivity: 0..1.
        reflected_kelvin: apparent temperature of what the surface mirrors.
        air_kelvin: temperature of the air.
        transmission: 0..1, of the path from surface to camera.
    """
    leaving = emissivity * radiance(kelvin)
    leaving = leaving + (1.0 - emissivity) * radiance(np.asarray(reflected_kelvin))
    air = radiance(np.asarray(air_kelvin))
    return apparent_kelvin(transmission * leaving + (1.0 - transmission) * air)


def to_counts(kelvin: NDArray[np.floating], model: CountsModel) -> NDArray[np.uint16]:
    """Turn apparent temperatures into the 16-bit counts a camera sends.

    Raises:
        SimulationError: if the model is unknown.
    """
    if model == 'temperature_linear_10mk':
        counts = kelvin * 100.0
    elif model == 'temperature_linear_100mk':
        counts = kelvin * 10.0
    elif model == 'planck_14bit':
        counts = np.minimum(RAW_GAIN * radiance(kelvin) + RAW_OFFSET, 16383.0)
    else:
        raise SimulationError(
            f'counts model: found {model!r}, expected temperature_linear_10mk, '
            'temperature_linear_100mk or planck_14bit'
        )
    return np.clip(np.rint(counts), 0, 65535).astype(np.uint16)
