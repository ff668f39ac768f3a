"""`python -m training simulate-v2x`: crossings seen by a vehicle and by a pole, as DAIR-V2X-C.

Every frame of the vehicle comes with roadside images at its own time and at earlier times 0.1 s
apart, so that delays can be studied. The label files hold what either camera sees at the
vehicle's time. Images keep to 8 bits and are JPEG; there are no point clouds.
"""

from __future__ import annotations

from dataclasses import dataclass
import json
from pathlib import Path
from typing import Any, TYPE_CHECKING

import cv2
import numpy as np

from thermal_perception.errors import DatasetError
from thermal_perception.evaluation.dair import SPLITS
from thermal_perception.geometry.boxes import corners_3d
from thermal_perception.geometry.transforms import (
    compose,
    from_xyz_rpy,
    invert,
    transform_points,
)
from thermal_perception.simulation import CONDITIONS, default_rig, render, Scene
from thermal_perception.simulation.actors import CAR, OTHER_VEHICLE
from thermal_perception.simulation.intersection import pole_camera
from thermal_perception.simulation.shared_truth import vehicles_seen

if TYPE_CHECKING:
    import argparse

    from numpy.typing import NDArray

    from thermal_perception.simulation import CameraSpec
    from thermal_perception.types import Boxes3D

T_BASE_LIDAR = from_xyz_rpy((0.0, 0.0, 1.78), (0.0, 0.0, 0.0))
"""A lidar on the roof, level: 1.78 m up, where the anchors of EMIFF expect it."""

DELAY_S = 0.1
_SPACING_S = (1.0, 2.0)
_NAMES = {CAR: 'Car', OTHER_VEHICLE: 'Truck'}


@dataclass(frozen=True)
class V2xOptions:
    """What to make.

    Attributes:
        output: folder of the data set; splits are added to what is there.
        split: name of the split; another name gives other worlds for the same seed.
        condition: a condition's name, or `mixed` for all in turn.
        scenes: number of different worlds.
        frames_per_scene: vehicle frames of each.
        delays: earlier roadside images per frame.
        seed: of everything.
        size: (height, width) of the images.
    """

    output: Path
    split: str = 'train'
    condition: str = 'mixed'
    scenes: int = 10
    frames_per_scene: int = 4
    delays: int = 2
    seed: int = 0
    size: tuple[int, int] = (540, 960)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the verb."""
    parser.add_argument('--output', type=Path, required=True, help='folder of the data set')
    parser.add_argument('--split', default='train', help='name of the split')
    parser.add_argument(
        '--condition', choices=(*CONDITIONS, 'mixed'), default='mixed', help='weather and light'
    )
    parser.add_argument('--scenes', type=int, default=10, help='number of different worlds')
    parser.add_argument('--frames-per-scene', type=int, default=4)
    parser.add_argument('--delays', type=int, default=2, help='earlier roadside images per frame')
    parser.add_argument('--seed', type=int, default=0)


def run(args: argparse.Namespace) -> int:
    """Make the data set the command line asks for; returns the exit code."""
    names = set(V2xOptions.__dataclass_fields__) - {'size'}
    options = V2xOptions(**{name: getattr(args, name) for name in names})
    simulate(options)
    print(f'{options.output}: {options.scenes * options.frames_per_scene} frames')
    return 0


def simulate(options: V2xOptions) -> None:
    """Render a split.

    Raises:
        DatasetError: if the split exists already or a file cannot be written.
    """
    folder = _Folder(options.output, options.split)
    for number in range(options.scenes):
        rng = np.random.default_rng([options.seed, number, *options.split.encode()])
        condition = options.condition
        if condition == 'mixed':
            condition = list(CONDITIONS)[number % len(CONDITIONS)]
        scene = Scene('intersection', condition, int(rng.integers(2**31)))
        ego = default_rig('intersection', rgb_size=options.size, seed=int(rng.integers(2**31))).rgb
        infra = pole_camera(int(rng.integers(2**31)), size=options.size)
        time_s = float(rng.uniform(0.5, 1.5))
        for _ in range(options.frames_per_scene):
            folder.add(scene, time_s, ego, infra, options.delays)
            time_s += float(rng.uniform(*_SPACING_S))
        folder.end_recording()
    folder.finish()


class _Folder:
    """Writes images and calibrations as they come, and the lists at the end."""

    def __init__(self, folder: Path, split: str) -> None:
        self.folder, self.split = folder, split
        self.splits: dict[str, list[str]] = {}
        if (folder / SPLITS).exists():
            self.splits = json.loads((folder / SPLITS).read_text())['cooperative_split']
        if split in self.splits:
            raise DatasetError(f'{folder}: found split {split!r} already, expected a new one')
        self.lists = {name: self._list(name) for name in _LISTS}
        self.names: list[str] = []
        self._recording = len({e['batch_id'] for e in self.lists['vehicle-side']})

    def add(
        self, scene: Scene, time_s: float, ego: CameraSpec, infra: CameraSpec, delays: int
    ) -> None:
        """Write a frame of the vehicle and all roadside images that belong to it."""
        T_world_base = scene.pose(time_s)
        first = len(self.lists['infrastructure-side'])
        names = [f'{first + k:06d}' for k in range(delays + 1)]
        for k, name in enumerate(names):
            taken_s = time_s - (delays - k) * DELAY_S
            self._add_infra(name, names, scene, taken_s, infra)
        name = f'{len(self.lists["vehicle-side"]):06d}'
        self._add_ego(name, scene, time_s, ego, T_world_base)
        label = f'cooperative/label_world/{name}.json'
        boxes = vehicles_seen(scene, time_s, (ego, infra))
        self._write(label, _labels(boxes, T_world_base))
        self.lists['cooperative'].append(
            {
                'vehicle_image_path': f'vehicle-side/image/{name}.jpg',
                'infrastructure_image_path': f'infrastructure-side/image/{names[-1]}.jpg',
                'cooperative_label_path': label,
                'system_error_offset': '',
            }
        )
        self.names.append(name)

    def end_recording(self) -> None:
        """Begin another recording."""
        self._recording += 1

    def finish(self) -> None:
        """Write the lists; the split comes last."""
        for name, entries in self.lists.items():
            self._write(f'{name}/data_info.json', entries)
        self._write(SPLITS, {'cooperative_split': {**self.splits, self.split: self.names}})

    def _add_infra(
        self, name: str, batch: list[str], scene: Scene, time_s: float, camera: CameraSpec
    ) -> None:
        side = 'infrastructure-side'
        self._image(f'{side}/image/{name}.jpg', scene, time_s, camera)
        assert camera.T_world_camera is not None
        # The virtual lidar stands on the ground below the camera, level.
        x, y, _ = camera.T_world_camera[:3, 3]
        T_world_virtual = from_xyz_rpy((x, y, 0.0), (0.0, 0.0, 0.0))
        T_camera_virtual = compose(invert(camera.T_world_camera), T_world_virtual)
        self._intrinsics(side, name, camera)
        self._write(f'{side}/calib/virtuallidar_to_camera/{name}.json', _rigid(T_camera_virtual))
        self._write(
            f'{side}/calib/virtuallidar_to_world/{name}.json',
            {**_rigid(T_world_virtual), 'relative_error': {'delta_x': '', 'delta_y': ''}},
        )
        self.lists[side].append(
            {
                'image_path': f'image/{name}.jpg',
                'image_timestamp': _microseconds(time_s),
                'calib_camera_intrinsic_path': f'calib/camera_intrinsic/{name}.json',
                'calib_virtuallidar_to_camera_path': f'calib/virtuallidar_to_camera/{name}.json',
                'calib_virtuallidar_to_world_path': f'calib/virtuallidar_to_world/{name}.json',
                'batch_id': str(self._recording),
                'batch_start_id': batch[0],
                'batch_end_id': batch[-1],
                'intersection_loc': scene.condition.name,
            }
        )

    def _add_ego(
        self,
        name: str,
        scene: Scene,
        time_s: float,
        camera: CameraSpec,
        T_world_base: NDArray[np.float64],
    ) -> None:
        side = 'vehicle-side'
        self._image(f'{side}/image/{name}.jpg', scene, time_s, camera)
        self._intrinsics(side, name, camera)
        T_camera_lidar = compose(invert(camera.T_base_camera), T_BASE_LIDAR)
        self._write(f'{side}/calib/lidar_to_camera/{name}.json', _rigid(T_camera_lidar))
        self._write(
            f'{side}/calib/lidar_to_novatel/{name}.json', {'transform': _rigid(T_BASE_LIDAR)}
        )
        self._write(f'{side}/calib/novatel_to_world/{name}.json', _rigid(T_world_base))
        self.lists[side].append(
            {
                'image_path': f'image/{name}.jpg',
                'image_timestamp': _microseconds(time_s),
                'calib_camera_intrinsic_path': f'calib/camera_intrinsic/{name}.json',
                'calib_lidar_to_camera_path': f'calib/lidar_to_camera/{name}.json',
                'calib_lidar_to_novatel_path': f'calib/lidar_to_novatel/{name}.json',
                'calib_novatel_to_world_path': f'calib/novatel_to_world/{name}.json',
                'batch_id': str(self._recording),
                'intersection_loc': scene.condition.name,
            }
        )

    def _image(self, name: str, scene: Scene, time_s: float, camera: CameraSpec) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image = render(scene, time_s, camera, with_truth=False).image
        if not cv2.imwrite(str(path), image, [cv2.IMWRITE_JPEG_QUALITY, 92]):
            raise DatasetError(f'{path}: cannot be written')

    def _intrinsics(self, side: str, name: str, camera: CameraSpec) -> None:
        values = {'cam_K': camera.K.ravel().tolist(), 'cam_D': [0.0] * 5}
        self._write(f'{side}/calib/camera_intrinsic/{name}.json', values)

    def _list(self, name: str) -> list[dict[str, Any]]:
        path = self.folder / name / 'data_info.json'
        return json.loads(path.read_text()) if path.exists() else []

    def _write(self, name: str, values: Any) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values), encoding='utf-8')


_LISTS = ('infrastructure-side', 'vehicle-side', 'cooperative')


def _labels(boxes: Boxes3D, T_world_base: NDArray[np.float64]) -> list[dict[str, Any]]:
    """Return boxes of the base frame as entries of a label file, in the world."""
    labels = []
    corners = corners_3d(boxes)
    for index, track in enumerate(boxes.track_ids.tolist()):
        length, width, height = boxes.sizes_m[index].tolist()
        labels.append(
            {
                'type': _NAMES[int(boxes.labels[index])],
                'track_id': track,
                '3d_dimensions': {'h': height, 'w': width, 'l': length},
                'world_8_points': transform_points(T_world_base, corners[index]).tolist(),
            }
        )
    return labels


def _rigid(T: NDArray[np.float64]) -> dict[str, Any]:
    return {'rotation': T[:3, :3].tolist(), 'translation': T[:3, 3:].tolist()}


def _microseconds(time_s: float) -> str:
    return str(round((1_600_000_000 + time_s) * 1e6))
