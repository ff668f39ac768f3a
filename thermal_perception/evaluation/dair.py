"""DAIR-V2X-C: images of a vehicle and of the roadside, with boxes that both together see.

    FOLDER/infrastructure-side/  image/, calib/, data_info.json
    FOLDER/vehicle-side/         image/, calib/, data_info.json
    FOLDER/cooperative/          label_world/, data_info.json
    FOLDER/cooperative-split-data.json    which vehicle images are in which split

`python -m training simulate-v2x` writes the same layout. Source: DAIR-V2X (arXiv 2204.05575).
"""

from __future__ import annotations

from dataclasses import dataclass
import json
from typing import Any, TYPE_CHECKING

import numpy as np

from thermal_perception.errors import DatasetError, GeometryError
from thermal_perception.geometry.camera import Camera
from thermal_perception.geometry.transforms import compose, from_rotation, invert
from thermal_perception.types import Boxes3D

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

SPLITS = 'cooperative-split-data.json'
LIDAR = 'lidar'
CAR_TYPES = ('car', 'truck', 'van', 'bus')
_SIDES = {'infra': 'infrastructure-side', 'ego': 'vehicle-side'}


@dataclass(frozen=True, eq=False)
class CooperativeFrame:
    """One moment of a vehicle, and the roadside image that belongs to it.

    Attributes:
        name: id of the vehicle's image.
        unit: what a bootstrap draws: the recording that it is from.
        ego_image: file.
        infra_image: file; an earlier one with `delay`.
        ego_stamp_ns: when the vehicle's image was taken.
        infra_stamp_ns: when the roadside image was taken.
        K_ego: (3, 3) of the vehicle's camera, pixels; `D_ego` its distortion.
        D_ego: see `K_ego`.
        K_infra: (3, 3) of the roadside camera, pixels; `D_infra` its distortion.
        D_infra: see `K_infra`.
        T_camera_lidar: (4, 4) vehicle lidar to the vehicle's camera.
        T_world_lidar: (4, 4) vehicle lidar to the world, at the vehicle's image.
        T_camera_world: (4, 4) world to the roadside camera.
        truth: boxes that either side sees, in the vehicle's lidar frame.
    """

    name: str
    unit: str
    ego_image: Path
    infra_image: Path
    ego_stamp_ns: int
    infra_stamp_ns: int
    K_ego: NDArray[np.float64]
    D_ego: NDArray[np.float64]
    K_infra: NDArray[np.float64]
    D_infra: NDArray[np.float64]
    T_camera_lidar: NDArray[np.float64]
    T_world_lidar: NDArray[np.float64]
    T_camera_world: NDArray[np.float64]
    truth: Boxes3D

    @property
    def T_camera_lidar_infra(self) -> NDArray[np.float64]:
        """(4, 4) vehicle lidar to the roadside camera."""
        return compose(self.T_camera_world, self.T_world_lidar)

    def camera(self, side: str, size: tuple[int, int]) -> Camera:
        """Return the camera, `ego` or `infra`, of an image of (height, width)."""
        if side == 'ego':
            return Camera(self.K_ego, self.D_ego, size)
        return Camera(self.K_infra, self.D_infra, size)


def read_frames(
    folder: Path, split: str | None = None, *, delay: int = 0
) -> list[CooperativeFrame]:
    """Read all frames of a split.

    Args:
        folder: of the data set.
        split: `train` or `val`; None for all.
        delay: take the roadside image so many images earlier (VIC-Async-k); frames whose earlier
            image is of another recording, or missing, are left out.

    Raises:
        DatasetError: if a file is missing or holds something else.
    """
    sides = {side: _Side(folder / name) for side, name in _SIDES.items()}
    wanted = None if split is None else _split(folder / SPLITS, split)
    frames = []
    for entry in _read(folder / 'cooperative' / 'data_info.json'):
        where = f'{folder}/cooperative/data_info.json'
        name = _stem(_text(entry, 'vehicle_image_path', where))
        if wanted is not None and name not in wanted:
            continue
        infra = sides['infra'].earlier(
            _stem(_text(entry, 'infrastructure_image_path', where)), delay
        )
        if infra is not None:
            frames.append(_frame(folder, entry, name, infra, sides))
    if not frames:
        raise DatasetError(f'{folder}: found no frame of split {split!r} at delay {delay}')
    return frames


class _Side:
    """Images of one side by their id."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.where = f'{folder}/data_info.json'
        entries = _read(folder / 'data_info.json')
        self.entries = {_stem(_text(e, 'image_path', self.where)): e for e in entries}

    def entry(self, name: str) -> Mapping[str, Any]:
        """Return what is known of an image."""
        if name not in self.entries:
            raise DatasetError(f'{self.where}: found no image {name}')
        return self.entries[name]

    def earlier(self, name: str, steps: int) -> str | None:
        """Return the id of the image so many steps earlier in the same recording."""
        if steps == 0:
            return name
        earlier = f'{int(name) - steps:0{len(name)}d}'
        first = _text(self.entry(name), 'batch_start_id', self.where)
        return earlier if int(earlier) >= int(first) and earlier in self.entries else None

    def file(self, name: str, key: str) -> Path:
        """Return a file that the entry of an image names."""
        return self.folder / _text(self.entry(name), key, self.where)

    def calibration(self, name: str, key: str) -> tuple[Any, Path]:
        """Return the contents of a calibration file, and the file."""
        path = self.file(name, key)
        return _read(path), path

    def stamp_ns(self, name: str) -> int:
        """Return when an image was taken; files count whole microseconds."""
        return 1000 * round(float(_text(self.entry(name), 'image_timestamp', self.where)))


def _frame(
    folder: Path,
    entry: Mapping[str, Any],
    name: str,
    infra_name: str,
    sides: Mapping[str, _Side],
) -> CooperativeFrame:
    ego, infra = sides['ego'], sides['infra']
    T_novatel_lidar = _transform(*ego.calibration(name, 'calib_lidar_to_novatel_path'))
    T_world_novatel = _transform(*ego.calibration(name, 'calib_novatel_to_world_path'))
    T_world_lidar = compose(T_world_novatel, T_novatel_lidar)
    T_camera_virtual = _transform(
        *infra.calibration(infra_name, 'calib_virtuallidar_to_camera_path')
    )
    T_world_virtual = _transform(
        *infra.calibration(infra_name, 'calib_virtuallidar_to_world_path')
    )
    K_ego, D_ego = _intrinsics(*ego.calibration(name, 'calib_camera_intrinsic_path'))
    K_infra, D_infra = _intrinsics(*infra.calibration(infra_name, 'calib_camera_intrinsic_path'))
    labels = folder / _text(entry, 'cooperative_label_path', f'{folder}/cooperative')
    stamp_ns = ego.stamp_ns(name)
    return CooperativeFrame(
        name=name,
        unit=str(ego.entry(name).get('batch_id', name)),
        ego_image=ego.file(name, 'image_path'),
        infra_image=infra.file(infra_name, 'image_path'),
        ego_stamp_ns=stamp_ns,
        infra_stamp_ns=infra.stamp_ns(infra_name),
        K_ego=K_ego,
        D_ego=D_ego,
        K_infra=K_infra,
        D_infra=D_infra,
        T_camera_lidar=_transform(*ego.calibration(name, 'calib_lidar_to_camera_path')),
        T_world_lidar=T_world_lidar,
        T_camera_world=compose(T_camera_virtual, invert(T_world_virtual)),
        truth=_truth(labels, invert(T_world_lidar), stamp_ns),
    )


def _truth(path: Path, T_lidar_world: NDArray[np.float64], stamp_ns: int) -> Boxes3D:
    """Read world corners: 0 front left, 1 front right, 2 and 3 behind, 4 to 7 the same above."""
    corners = []
    for label in _read(path):
        if str(label.get('type', '')).lower() not in CAR_TYPES:
            continue
        try:
            world = np.array(label['world_8_points'], np.float64)
        except (KeyError, TypeError, ValueError) as error:
            raise DatasetError(f'{path}: found no world_8_points: {error}') from error
        if world.shape != (8, 3) or not np.isfinite(world).all():
            raise DatasetError(f'{path}: found corners {world.shape}, expected (8, 3)')
        corners.append(world @ T_lidar_world[:3, :3].T + T_lidar_world[:3, 3])
    boxes = np.array(corners, np.float64).reshape(-1, 8, 3)
    front_left, front_right, rear_left = boxes[:, 0], boxes[:, 1], boxes[:, 3]
    sizes = np.stack(
        (
            np.linalg.norm(front_left - rear_left, axis=1),
            np.linalg.norm(front_left - front_right, axis=1),
            boxes[:, 4, 2] - boxes[:, 0, 2],
        ),
        1,
    )
    across = front_left - front_right
    yaws = np.arctan2(-across[:, 0], across[:, 1])
    kept = (sizes > 0).all(1)
    n = int(kept.sum())
    return Boxes3D(
        boxes.mean(1)[kept], sizes[kept], yaws[kept], np.ones(n, np.float32),
        np.zeros(n, np.int64), ('car',), np.full(n, -1), stamp_ns, LIDAR,
    )  # fmt: skip


def _transform(values: Any, path: Path) -> NDArray[np.float64]:
    """Read a rigid transform in any of the forms that the files have."""
    values = values.get('transform', values) if isinstance(values, dict) else values
    try:
        if 'Tr_velo_to_cam' in values:
            rows = np.array(values['Tr_velo_to_cam'], np.float64).reshape(3, 4)
            rotation, translation = rows[:, :3], rows[:, 3]
        else:
            rotation = np.array(values['rotation'], np.float64).reshape(3, 3)
            translation = np.array(values['translation'], np.float64).reshape(3)
        error = values.get('relative_error') or {}
        for axis, key in enumerate(('delta_x', 'delta_y')):
            translation[axis] += float(error.get(key) or 0)
        u, _, v = np.linalg.svd(rotation)  # the files hold few digits
        return from_rotation(u @ v, translation)
    except (KeyError, TypeError, ValueError, GeometryError, np.linalg.LinAlgError) as error:
        raise DatasetError(f'{path}: found no rotation and translation: {error}') from error


def _intrinsics(values: Any, path: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    try:
        K = np.array(values['cam_K'], np.float64).reshape(3, 3)
        D = np.array(values.get('cam_D') or [], np.float64).reshape(-1)
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(f'{path}: found no cam_K: {error}') from error
    return K, D


def _split(path: Path, split: str) -> set[str]:
    splits = _read(path).get('cooperative_split', {})
    if split not in splits:
        raise DatasetError(f'{path}: found no split {split!r}, it has {", ".join(splits)}')
    return {str(name) for name in splits[split]}


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding='utf-8'))
    except (OSError, ValueError) as error:
        raise DatasetError(f'{path}: cannot be read: {error}') from error


def _text(entry: Mapping[str, Any], key: str, where: str) -> str:
    if key not in entry:
        raise DatasetError(f'{where}: found an entry without {key!r}')
    return str(entry[key])


def _stem(path: str) -> str:
    return path.rsplit('/', 1)[-1].rsplit('.', 1)[0]
