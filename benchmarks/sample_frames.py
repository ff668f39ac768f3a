"""Labelled frames of KITTI and nuScenes in our conventions, for `box_sheet.py` and the tests.

Read is what mmdetection3d gives as demo data, its info file as `info.json`:

    FOLDER/kitti_000008/            info.json, image_2/, velodyne/
    FOLDER/nuscenes_mini_keyframe/  info.json, samples/
"""

from __future__ import annotations

from dataclasses import dataclass, replace
import json
from typing import Any, NamedTuple, TYPE_CHECKING

import cv2
import numpy as np

from thermal_perception.geometry import (
    boxes_in,
    Camera,
    compose,
    from_rotation,
    invert,
    T_OPTICAL_BODY,
    transform_points,
)
from thermal_perception.types import Boxes3D

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import ArrayLike, NDArray

KITTI_CLASSES = ('pedestrian', 'cyclist', 'car')


class View(NamedTuple):
    """One camera of a frame; `T_camera_boxes` brings its boxes to the optical frame."""

    name: str
    image: Path
    camera: Camera
    T_camera_boxes: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Sample:
    """A frame and its labels.

    Attributes:
        boxes: in the frame in which they stand upright: KITTI's the lidar, nuScenes' the world.
        points_m: (P, 3) what the lidar measured, in the frame of the boxes.
        T_boxes_lidar: (4, 4) lidar to the frame of the boxes.
        views: cameras.
        labels: the label of each box as the file has it.
        info: all of the frame as the file has it.
    """

    boxes: Boxes3D
    points_m: NDArray[np.float64]
    T_boxes_lidar: NDArray[np.float64]
    views: tuple[View, ...]
    labels: Sequence[Mapping[str, Any]]
    info: Mapping[str, Any]


def kitti_sample(folder: Path) -> Sample:
    """Read the frame of KITTI.

    Its labels are `x, y, z, l, h, w, ry` of the middle of the bottom, in the rectified camera's
    optical frame. The picture is that of the camera 6 cm beside it: P = K [I | K^-1 p].
    """
    _, info = _read(folder)
    view = info['images']['CAM2']
    P, T_rectified_lidar = np.array(view['cam2img']), view['lidar2cam']
    K = P[:3, :3]
    T_camera_rectified = from_rotation(np.eye(3), np.linalg.solve(K, P[:3, 3]))
    labels = [label for label in info['instances'] if label['bbox_label_3d'] >= 0]  # no DontCare
    rows = np.array([label['bbox_3d'] for label in labels])
    boxes = _boxes(
        transform_points(invert(T_OPTICAL_BODY), rows[:, :3]),
        rows[:, [3, 5, 4]],
        -rows[:, 6] - np.pi / 2,  # ry turns from right to behind, yaw from ahead to left
        [label['bbox_label_3d'] for label in labels],
        KITTI_CLASSES,
        'camera',
    )
    boxes = boxes_in(compose(invert(T_rectified_lidar), T_OPTICAL_BODY), boxes, 'lidar')
    # Raised along z of the lidar, not of the camera, which is tilted by half a degree: only so
    # they hold as many points as the labels say.
    lift = boxes.sizes_m * (0.0, 0.0, 0.5)
    image = folder / 'image_2' / view['img_path']
    return Sample(
        replace(boxes, centres_m=boxes.centres_m + lift),
        _points(folder / 'velodyne', info),
        np.eye(4),
        (View('CAM2', image, _camera(K, image), compose(T_camera_rectified, T_rectified_lidar)),),
        labels,
        info,
    )


def nuscenes_sample(folder: Path) -> Sample:
    """Read the frame of nuScenes.

    Its labels are `x, y, z, l, w, h, yaw` of the centre, in the frame of the lidar, whose y is
    forward; they stand upright in the world.
    """
    classes, info = _read(folder)
    T_world_lidar = compose(info['ego2global'], info['lidar_points']['lidar2ego'])
    rows = np.array([label['bbox_3d'] for label in info['instances']])
    labels = np.array([label['bbox_label_3d'] for label in info['instances']])
    names = (*classes, 'other')
    boxes = _boxes(
        rows[:, :3], rows[:, 3:6], rows[:, 6], labels % len(names), names, 'lidar'
    )  # a label of -1 is the last
    views = []
    for name, view in info['images'].items():
        image = folder / 'samples' / view['img_path']
        T_camera_world = compose(view['lidar2cam'], invert(T_world_lidar))
        views.append(View(name, image, _camera(view['cam2img'], image), T_camera_world))
    return Sample(
        boxes_in(T_world_lidar, boxes, 'world'),
        transform_points(T_world_lidar, _points(folder / 'samples', info)),
        T_world_lidar,
        tuple(views),
        info['instances'],
        info,
    )


def _read(folder: Path) -> tuple[list[str], Mapping[str, Any]]:
    """Return the class names, where the file has them, and the frame."""
    contents = json.loads((folder / 'info.json').read_text(encoding='utf-8'))
    categories = contents['metainfo'].get('categories', {})
    (info,) = contents['data_list']
    return sorted(categories, key=categories.get), info


def _boxes(
    centres_m: NDArray[np.float64],
    sizes_m: NDArray[np.float64],
    yaws_rad: NDArray[np.float64],
    labels: ArrayLike,
    class_names: tuple[str, ...],
    frame_id: str,
) -> Boxes3D:
    n = len(centres_m)
    return Boxes3D(
        centres_m, sizes_m, yaws_rad, np.ones(n, np.float32),
        np.asarray(labels, np.int64), class_names, np.full(n, -1), 0, frame_id,
    )  # fmt: skip


def _camera(K: ArrayLike, image: Path) -> Camera:
    pixels = cv2.imread(str(image))
    if pixels is None:
        raise FileNotFoundError(f'{image}: found no image')
    return Camera(np.asarray(K, np.float64), np.empty(0), pixels.shape[:2])


def _points(folder: Path, info: Mapping[str, Any]) -> NDArray[np.float64]:
    """Return x, y, z of a file of float32 rows."""
    lidar = info['lidar_points']
    rows = np.fromfile(folder / lidar['lidar_path'], np.float32)
    return rows.reshape(-1, lidar['num_pts_feats'])[:, :3].astype(np.float64)
