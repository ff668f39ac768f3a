"""RGB frames brought onto the thermal image, with what parameters and camera_info tell."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from thermal_perception.errors import GeometryError
from thermal_perception.geometry import Camera, CameraPair, from_xyz_quat, RgbToThermal

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from sensor_msgs.msg import CameraInfo

    from thermal_perception.nodes.parameters.pair import PairParameters
    from thermal_perception.types import Frame


class RegisteredRgb:
    """Registers RGB frames; the one registered last is kept, see `FrameSource.decode`."""

    def __init__(self, values: PairParameters) -> None:
        """Read the rig from the parameters.

        Raises:
            GeometryError: if they are no rig.
        """
        pose, homography = values.T_thermal_rgb, values.homography
        self._register = RgbToThermal(
            T_thermal_rgb=from_xyz_quat(pose) if any(pose) else None,
            depth_m=values.registration_depth_m,
            homography=_matrix(homography) if any(homography) else None,
        )
        self.text = _describe(values)
        self._infos: tuple[CameraInfo | None, CameraInfo | None] = (None, None)
        self._cameras: CameraPair | None = None
        self._last: tuple[Frame, tuple[int, int], Frame] | None = None

    @property
    def needs_cameras(self) -> bool:
        """True if camera_info of both cameras is needed."""
        return self._register.needs_cameras

    @property
    def builds(self) -> int:
        """How often the maps were built."""
        return self._register.builds

    def __call__(
        self,
        rgb: Frame,
        thermal_size: tuple[int, int],
        infos: tuple[CameraInfo | None, CameraInfo | None],
    ) -> Frame:
        """Bring a frame onto a thermal image.

        Args:
            rgb: raw frame.
            thermal_size: (height, width) of the raw thermal image.
            infos: camera_info of the thermal and of the RGB camera, None where it has not come.

        Raises:
            GeometryError: if that is not possible.
        """
        if self._last is None or self._last[0] is not rgb or self._last[1] != thermal_size:
            cameras = self._read(infos) if self.needs_cameras else None
            image = self._register(np.asarray(rgb.image, np.uint8), thermal_size, cameras)
            self._last = (rgb, thermal_size, replace(rgb, image=image))
        return self._last[2]

    def _read(self, infos: tuple[CameraInfo | None, CameraInfo | None]) -> CameraPair | None:
        """Read camera_info, but a message only once."""
        thermal, rgb = infos
        if thermal is None or rgb is None:
            return None
        if thermal is not self._infos[0] or rgb is not self._infos[1]:
            self._cameras = CameraPair(
                Camera.from_camera_info(thermal), Camera.from_camera_info(rgb)
            )
            self._infos = infos
        return self._cameras


def _matrix(values: tuple[float, ...]) -> NDArray[np.float64]:
    """Return nine numbers as (3, 3), row by row."""
    if len(values) != 9:
        raise GeometryError(f'homography: found {len(values)} numbers, expected 9')
    return np.array(values).reshape(3, 3)


def _describe(values: PairParameters) -> str:
    if any(values.T_thermal_rgb):
        return f'T_thermal_rgb at {values.registration_depth_m:g} m'
    return 'homography' if any(values.homography) else 'none: images of one size are taken as is'
