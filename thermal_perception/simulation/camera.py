"""Simulated cameras: where they look, and what their sensors do to the picture."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal, TYPE_CHECKING

import numpy as np

from thermal_perception.errors import SimulationError
from thermal_perception.geometry.transforms import (
    compose,
    from_xyz_rpy,
    invert,
    T_OPTICAL_BODY,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thermal_perception.simulation.radiometry import CountsModel

Modality = Literal['thermal', 'rgb']
Preset = Literal['road', 'aerial', 'intersection']
PRESETS: tuple[Preset, ...] = ('road', 'aerial', 'intersection')


@dataclass(frozen=True)
class Agc:
    """How a thermal camera squeezes 14 bits into 8: plateau equalisation, then sharpening.

    Attributes:
        equalise: 0 stretches linearly, 1 equalises the histogram.
        plateau: highest share of pixels that counts in one histogram bin.
        tails: share of pixels cut off at each end.
        least_span_k: spans narrower than this are not stretched further.
        sharpen: strength of the detail boost.
        middle: grey of the median pixel is pulled towards this, 0..1.
    """

    equalise: float = 0.45
    plateau: float = 0.012
    tails: float = 0.002
    least_span_k: float = 6.0
    sharpen: float = 0.6
    middle: float = 0.42


@dataclass(frozen=True)
class ThermalSensor:
    """An uncooled microbolometer.

    Attributes:
        netd_k: temporal noise, kelvin RMS.
        pattern_k: fixed pattern of pixels and columns right after a flat-field correction.
        drift_k_per_s: growth of that pattern until the next correction.
        blur_px: Gaussian width of the lens, pixels.
        ffc_period_s: time between corrections; 0 means never.
        ffc_first_s: time of the first correction.
        ffc_hold_s: how long the picture stands still at each.
        counts: what 16-bit values mean.
        agc: how 8-bit values are made.
        seed: of noise and pattern.
    """

    netd_k: float = 0.045
    pattern_k: float = 0.03
    drift_k_per_s: float = 0.0004
    blur_px: float = 0.55
    ffc_period_s: float = 0.0
    ffc_first_s: float = 5.0
    ffc_hold_s: float = 0.6
    counts: CountsModel = 'temperature_linear_10mk'
    agc: Agc = field(default_factory=Agc)
    seed: int = 0

    def exposure_time_s(self, time_s: float) -> float:
        """When the picture shown at `time_s` was taken: earlier while the shutter is closed."""
        start = self.last_ffc_s(time_s)
        return start if start is not None and time_s < start + self.ffc_hold_s else time_s

    def last_ffc_s(self, time_s: float) -> float | None:
        """Start of the latest flat-field correction, or None before the first."""
        if self.ffc_period_s <= 0.0 or time_s < self.ffc_first_s:
            return None
        turns = np.floor((time_s - self.ffc_first_s) / self.ffc_period_s)
        return float(self.ffc_first_s + turns * self.ffc_period_s)


@dataclass(frozen=True)
class RgbSensor:
    """A colour camera with automatic exposure.

    Attributes:
        noise: standard deviation in a well-lit grey pixel, 0..1.
        blur_px: Gaussian width of the lens, pixels.
        exposure: gain of the automatic exposure over its own choice.
        seed: of the noise.
    """

    noise: float = 0.006
    blur_px: float = 0.5
    exposure: float = 1.0
    seed: int = 0


@dataclass(frozen=True, eq=False)
class CameraSpec:
    """One camera, on the moving base or beside the road.

    Attributes:
        modality: `thermal` or `rgb`.
        size: (height, width), pixels.
        K: (3, 3) float64 pinhole intrinsics; no distortion. The centre of the first pixel is
            (0, 0) here, as in camera_info; boxes count from its corner, half a pixel more.
        T_base_camera: (4, 4) float64, camera optical frame to base frame (x ahead, y left,
            z up).
        frame_id: name of the optical frame.
        thermal: sensor of a thermal camera.
        rgb: sensor of a colour camera.
        T_world_camera: (4, 4) float64 of a camera that stands still in the world;
            `T_base_camera` does not matter then.
    """

    modality: Modality
    size: tuple[int, int]
    K: NDArray[np.float64]
    T_base_camera: NDArray[np.float64]
    frame_id: str
    thermal: ThermalSensor = field(default_factory=ThermalSensor)
    rgb: RgbSensor = field(default_factory=RgbSensor)
    T_world_camera: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be a camera."""
        if self.modality not in ('thermal', 'rgb'):
            raise SimulationError(f'camera: found {self.modality!r}, expected thermal or rgb')
        if min(self.size) < 8 or self.K.shape != (3, 3) or self.T_base_camera.shape != (4, 4):
            raise SimulationError(
                f'camera {self.frame_id}: found size {self.size}, K {self.K.shape}, T_base_camera '
                f'{self.T_base_camera.shape}; expected 8 px or more, (3, 3), (4, 4)'
            )


@dataclass(frozen=True, eq=False)
class Rig:
    """The cameras of one base."""

    thermal: CameraSpec
    rgb: CameraSpec

    @property
    def T_rgb_thermal(self) -> NDArray[np.float64]:
        """(4, 4) transform from the thermal to the colour camera's optical frame."""
        return compose(invert(self.rgb.T_base_camera), self.thermal.T_base_camera)


def pinhole(size: tuple[int, int], focal_px: float) -> NDArray[np.float64]:
    """Intrinsics with the principal point in the middle of the image."""
    height, width = size
    K = np.diag([focal_px, focal_px, 1.0])
    K[:2, 2] = (width - 1) / 2, (height - 1) / 2
    return K


def mount(
    xyz_m: tuple[float, float, float], *, pitch_deg: float = 0.0, yaw_deg: float = 0.0
) -> NDArray[np.float64]:
    """T_base_camera of a camera that looks ahead, turned left by yaw and down by pitch."""
    T_base_body = from_xyz_rpy(xyz_m, (0.0, np.deg2rad(pitch_deg), np.deg2rad(yaw_deg)))
    return compose(T_base_body, invert(T_OPTICAL_BODY))


def default_rig(
    preset: Preset,
    *,
    thermal_size: tuple[int, int] = (512, 640),
    rgb_size: tuple[int, int] = (720, 1280),
    registered: bool = False,
    seed: int | None = None,
    pitch_deg: float | None = None,
    thermal_sensor: ThermalSensor | None = None,
) -> Rig:
    """Cameras as they are usually mounted.

    Args:
        preset: `road` and `intersection`: on a vehicle, 1.5 m up; `aerial`: below a drone, looking
            down.
        thermal_size: (height, width) of the thermal camera.
        rgb_size: the same for the colour camera; ignored when registered.
        registered: both cameras share pose, size and intrinsics, so that pixels correspond;
            otherwise they sit apart and the colour camera sees wider.
        seed: None gives the standard rig; a number varies lens, angles and sensor.
        pitch_deg: downward look; None takes the preset's.
        thermal_sensor: replaces the standard or drawn sensor.

    Raises:
        SimulationError: if there is no such preset.
    """
    if preset not in PRESETS:
        raise SimulationError(f'preset: found {preset!r}, expected {" or ".join(PRESETS)}')
    draw = _Draws(seed)
    road = preset != 'aerial'
    # Focal lengths as shares of the width: 13 mm and 19 to 25 mm lenses on 12 to 17 um pixels.
    share = draw.around(1.0, 0.75, 1.15) if road else draw.around(2.25, 1.9, 2.5)
    pitch = pitch_deg
    if pitch is None:
        pitch = draw.around(3.0, 0.5, 6.0) if road else draw.around(55.0, 30.0, 90.0)
    at = (1.2, 0.0, draw.around(1.5, 1.25, 1.75)) if road else (0.0, 0.0, 0.0)
    thermal = CameraSpec(
        'thermal',
        thermal_size,
        pinhole(thermal_size, share * thermal_size[1]),
        mount(at, pitch_deg=pitch, yaw_deg=draw.around(0.0, -4.0, 4.0)),
        'thermal_optical_frame',
        thermal=thermal_sensor or draw.sensor(road=road),
    )
    rgb_sensor = RgbSensor(seed=0 if seed is None else seed)
    if registered:
        return Rig(
            thermal, replace(thermal, modality='rgb', frame_id='rgb_optical_frame', rgb=rgb_sensor)
        )
    rgb = CameraSpec(
        'rgb',
        rgb_size,
        pinhole(rgb_size, 0.85 * share * rgb_size[1]),
        mount((at[0], at[1] + 0.12, at[2] + 0.03), pitch_deg=pitch + 0.4, yaw_deg=0.3),
        'rgb_optical_frame',
        rgb=rgb_sensor,
    )
    return Rig(thermal, rgb)


class _Draws:
    """The standard value without a seed, a drawn one with it."""

    def __init__(self, seed: int | None) -> None:
        self._rng = None if seed is None else np.random.default_rng([seed, 0x51])

    def around(self, standard: float, low: float, high: float) -> float:
        return standard if self._rng is None else float(self._rng.uniform(low, high))

    def sensor(self, *, road: bool) -> ThermalSensor:
        if self._rng is None:
            return ThermalSensor()
        agc = Agc(
            equalise=self.around(0, 0.1, 0.75 if road else 0.5),
            plateau=self.around(0, 0.006, 0.03),
            tails=self.around(0, 0.0005, 0.006),
            least_span_k=self.around(0, 3.0, 12.0) * (1.0 if road else 2.0),
            sharpen=self.around(0, 0.0, 1.2 if road else 0.7),
            middle=self.around(0, 0.32, 0.55),
        )
        return ThermalSensor(
            netd_k=self.around(0, 0.02, 0.08),
            pattern_k=self.around(0, 0.01, 0.06),
            blur_px=self.around(0, 0.35, 0.9) * (1.0 if road else 1.4),
            agc=agc,
            seed=int(self._rng.integers(2**31)),
        )
