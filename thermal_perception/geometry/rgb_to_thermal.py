"""Bring raw RGB images onto the pixels of the raw thermal image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TYPE_CHECKING

import cv2
import numpy as np

from thermal_perception.errors import GeometryError
from thermal_perception.geometry.registration import sampling_map
from thermal_perception.geometry.transforms import as_transform, invert

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from thermal_perception.geometry.camera import Camera

    Size = tuple[int, int]
    Columns = NDArray[np.float32]

# Column and row of a thermal pixel that the RGB camera does not see.
_OUTSIDE = -1.0


class CameraPair(NamedTuple):
    """The cameras of both images."""

    thermal: Camera
    rgb: Camera


@dataclass(frozen=True, eq=False)
class _Maps:
    """Where each thermal pixel looks, in the fixed point that `cv2.remap` is fast with.

    Attributes:
        shrunk: (height, width) that RGB images are brought to first; None leaves them.
        whole: (H, W, 2) int16 columns and rows.
        fraction: (H, W) uint16 index of the fractions.
        seen: (H, W) uint8, 0 where the RGB camera sees nothing, else 255; None if it sees all.
    """

    shrunk: Size | None
    whole: NDArray[np.int16]
    fraction: NDArray[np.uint16]
    seen: NDArray[np.uint8] | None

    def sample(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if self.shrunk is not None:
            image = np.asarray(
                cv2.resize(image, self.shrunk[::-1], interpolation=cv2.INTER_AREA), np.uint8
            )
        out = cv2.remap(image, self.whole, self.fraction, cv2.INTER_LINEAR)
        return np.asarray(out if self.seen is None else cv2.copyTo(out, self.seen), np.uint8)


class RgbToThermal:
    """Registers RGB images to the thermal image, pixel by pixel.

    By both cameras and the transform between them, exact at one depth; or by a homography; or,
    without either, not at all: both images must then be of one size, and are taken as registered.
    Maps are built with the first image, and again when a size or camera has changed. Not
    thread-safe.

    Attributes:
        builds: how often maps were built.
    """

    def __init__(
        self,
        *,
        T_thermal_rgb: ArrayLike | None = None,
        depth_m: float = float('inf'),
        homography: ArrayLike | None = None,
    ) -> None:
        """Take what is known of the rig.

        Args:
            T_thermal_rgb: (4, 4), `p_thermal = T_thermal_rgb @ p_rgb`, metres; None if unknown.
            depth_m: z in the thermal camera at which the registration is exact.
            homography: (3, 3), `(u_rgb, v_rgb, 1) ~ H @ (u_thermal, v_thermal, 1)`, pixels of the
                raw images; None if unknown.

        Raises:
            GeometryError: if a matrix is malformed, both are given, or the depth is not positive.
        """
        if T_thermal_rgb is not None and homography is not None:
            raise GeometryError('registration: found transform and homography, expected one')
        if not depth_m > 0.0:
            raise GeometryError(f'registration depth: found {depth_m} m, expected above 0')
        self.builds = 0
        self._depth_m = depth_m
        self._T_rgb_thermal = (
            None if T_thermal_rgb is None else invert(as_transform(T_thermal_rgb, 'T_thermal_rgb'))
        )
        self._homography = None if homography is None else _as_homography(homography)
        self._maps: _Maps | None = None
        self._built_for: tuple[Size, Size] | None = None
        self._cameras: CameraPair | None = None

    @property
    def needs_cameras(self) -> bool:
        """True if the intrinsics of both cameras must be known."""
        return self._T_rgb_thermal is not None

    def __call__(
        self, image: NDArray[np.uint8], thermal_size: Size, cameras: CameraPair | None = None
    ) -> NDArray[np.uint8]:
        """Bring an RGB image onto the thermal one.

        Args:
            image: (H, W, 3) uint8, raw.
            thermal_size: (height, width) of the raw thermal image.
            cameras: of both raw images; looked at only if `needs_cameras`.

        Returns:
            (height, width, 3) uint8, black where the RGB camera sees nothing; the image itself if
            it is taken as registered.

        Raises:
            GeometryError: if sizes differ with nothing known of the rig, or cameras are needed and
                missing or of another size than the images.
        """
        rgb_size = image.shape[:2]
        if self._T_rgb_thermal is None and self._homography is None:
            _check_equal(rgb_size, thermal_size)
            return image
        if self.needs_cameras:
            _check_cameras(cameras, rgb_size, thermal_size)
        if self._maps is None or not self._fits((rgb_size, thermal_size), cameras):
            self._maps = _make_maps(*self._sampling(thermal_size, rgb_size, cameras), rgb_size)
            self._built_for, self._cameras = (rgb_size, thermal_size), cameras
            self.builds += 1
        return self._maps.sample(image)

    def _fits(self, sizes: tuple[Size, Size], cameras: CameraPair | None) -> bool:
        if self._built_for != sizes:
            return False
        if not self.needs_cameras or cameras is self._cameras:
            return True
        assert cameras is not None  # checked before
        assert self._cameras is not None  # maps were built with them
        return all(_same(new, old) for new, old in zip(cameras, self._cameras))

    def _sampling(
        self, thermal_size: Size, rgb_size: Size, cameras: CameraPair | None
    ) -> tuple[Columns, Columns]:
        """Columns and rows of the raw RGB image, each (H, W) float32 of the thermal size."""
        if self._homography is not None:
            return _homography_map(self._homography, thermal_size, rgb_size)
        assert cameras is not None  # checked before
        assert self._T_rgb_thermal is not None  # or there would be nothing to sample
        return sampling_map(cameras.thermal, cameras.rgb, self._T_rgb_thermal, self._depth_m)


def _make_maps(columns: Columns, rows: Columns, rgb_size: Size) -> _Maps:
    """Convert a sampling map; an RGB image of several pixels per thermal pixel is shrunk first.

    Bilinear sampling looks at four pixels: it would skip those between and flicker. No pixel looks
    outside of the image, as the remap is slower there: those that see nothing are masked.
    """
    factor, size, outside = int(_pixels_per_pixel(columns, rows)), rgb_size, columns == _OUTSIDE
    if factor > 1:
        height, width = rgb_size
        size = max(1, height // factor), max(1, width // factor)
        rows = (rows + 0.5) * (size[0] / height) - 0.5
        columns = (columns + 0.5) * (size[1] / width) - 0.5
    columns, rows = columns.clip(0, size[1] - 1), rows.clip(0, size[0] - 1)
    whole, fraction = cv2.convertMaps(columns, rows, cv2.CV_16SC2)
    return _Maps(
        size if factor > 1 else None,
        np.asarray(whole, np.int16),
        np.asarray(fraction, np.uint16),
        np.where(outside, 0, 255).astype(np.uint8) if outside.any() else None,
    )


def _pixels_per_pixel(columns: Columns, rows: Columns) -> float:
    """How many RGB pixels one looks on to when going one thermal pixel right; 1 if none."""
    steps = np.hypot(np.diff(columns, axis=1), np.diff(rows, axis=1))
    inside = columns != _OUTSIDE
    steps = steps[inside[:, 1:] & inside[:, :-1]]
    return float(np.median(steps)) if steps.size else 1.0


def _homography_map(
    H: NDArray[np.float64], thermal_size: Size, rgb_size: Size
) -> tuple[Columns, Columns]:
    v, u = np.indices(thermal_size).reshape(2, -1)
    x, y, w = H @ np.stack([u, v, np.ones(u.size)])
    with np.errstate(divide='ignore', invalid='ignore'):
        x, y = x / w, y / w
    height, width = rgb_size
    seen = (w > 0.0) & (x >= -0.5) & (x < width - 0.5) & (y >= -0.5) & (y < height - 0.5)
    columns, rows = (
        np.where(seen, values, _OUTSIDE).astype(np.float32).reshape(thermal_size)
        for values in (x, y)
    )
    return columns, rows


def _as_homography(H: ArrayLike) -> NDArray[np.float64]:
    """Check a homography and scale it so that points before the camera have a positive weight."""
    H = np.asarray(H, np.float64)
    if H.shape != (3, 3) or not np.isfinite(H).all() or abs(np.linalg.det(H)) < 1e-12:
        raise GeometryError(
            f'homography: found {H.tolist()}, expected an invertible (3, 3) matrix'
        )
    if H[2, 2] == 0.0:
        raise GeometryError('homography: found 0 in the last row and column, expected 1')
    return np.asarray(H / H[2, 2])


def _check_equal(rgb_size: Size, thermal_size: Size) -> None:
    if rgb_size != thermal_size:
        raise GeometryError(
            f'registration: found rgb images of {_text(rgb_size)} beside thermal ones of '
            f'{_text(thermal_size)}, expected T_thermal_rgb with camera_info, a homography, or '
            'registered images of one size'
        )


def _check_cameras(cameras: CameraPair | None, rgb_size: Size, thermal_size: Size) -> None:
    if cameras is None:
        raise GeometryError('registration: found no cameras, expected camera_info of both')
    for name, camera, size in zip(('thermal', 'rgb'), cameras, (thermal_size, rgb_size)):
        if camera.size != size:
            raise GeometryError(
                f'registration: found camera_info of {_text(camera.size)} for {name} images of '
                f'{_text(size)}, expected one size'
            )


def _same(a: Camera, b: Camera) -> bool:
    return (
        a is b or (a.size == b.size and np.array_equal(a.K, b.K) and np.array_equal(a.D, b.D))
    )


def _text(size: Size) -> str:
    return f'{size[1]}x{size[0]}'
