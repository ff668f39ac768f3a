"""DAIR-V2X-C as its files are."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from thermal_perception.errors import DatasetError
from thermal_perception.evaluation.dair import read_frames

EYE = {'rotation': np.eye(3).tolist(), 'translation': [[0.0], [0.0], [0.0]]}


def write(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values))


@pytest.fixture
def folder(tmp_path):
    """A set of two frames: lidar 2 m above the vehicle, which stands at (100, 50) facing +y."""
    infra, ego = tmp_path / 'infrastructure-side', tmp_path / 'vehicle-side'
    intrinsics = {'cam_K': ['1000', 0, 960, 0, 1000, 540, 0, 0, 1], 'cam_D': [0.1, 0, 0, 0, 0]}
    for side, numbers in ((infra, range(10, 14)), (ego, (1, 2))):
        entries = []
        for n in numbers:
            name = f'{n:06d}'
            entry = {
                'image_path': f'image/{name}.jpg',
                'image_timestamp': str(1_626_000_000_000_000 + 100_000 * n),
                'calib_camera_intrinsic_path': f'calib/camera_intrinsic/{name}.json',
                'batch_id': '4',
                'batch_start_id': '000011',
            }
            write(side / entry['calib_camera_intrinsic_path'], intrinsics)
            for kind in (
                'virtuallidar_to_camera', 'virtuallidar_to_world', 'lidar_to_camera',
                'lidar_to_novatel', 'novatel_to_world',
            ):  # fmt: skip
                entry[f'calib_{kind}_path'] = f'calib/{kind}/{name}.json'
                write(side / entry[f'calib_{kind}_path'], EYE)
            entries.append(entry)
        write(side / 'data_info.json', entries)
    for n in (1, 2):
        calib = ego / 'calib'
        up = {**EYE, 'translation': [[0], [0], ['2.0']]}
        write(calib / f'lidar_to_novatel/{n:06d}.json', {'transform': up})
        left = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
        write(
            calib / f'novatel_to_world/{n:06d}.json',
            {'rotation': left, 'translation': [[100], [50], [0]]},
        )
        write(
            tmp_path / f'cooperative/label_world/{n:06d}.json',
            [
                car((100, 70, 0), math.pi / 2),
                {**car((90, 60, 0), 0.0), 'type': 'Pedestrian'},
                {**car((90, 60, 0), 0.0), 'type': 'Bus'},
            ],
        )
    write(
        infra / 'calib/virtuallidar_to_world/000012.json',
        {**EYE, 'translation': [[1], [2], [3]],
         'relative_error': {'delta_x': '0.5', 'delta_y': ''}},
    )  # fmt: skip
    write(
        tmp_path / 'cooperative/data_info.json',
        [
            {
                'vehicle_image_path': f'vehicle-side/image/{n:06d}.jpg',
                'infrastructure_image_path': f'infrastructure-side/image/{n + 11:06d}.jpg',
                'cooperative_label_path': f'cooperative/label_world/{n:06d}.json',
            }
            for n in (1, 2)
        ],
    )
    splits = {'cooperative_split': {'train': ['000002'], 'val': ['000001']}}
    write(tmp_path / 'cooperative-split-data.json', splits)
    return tmp_path


def car(bottom, yaw, size=(4.0, 2.0, 1.5)):
    """A label: corners front left, front right, rear right, rear left, below and above."""
    length, width, height = size
    c, s = math.cos(yaw), math.sin(yaw)
    corners = []
    for z in (0, height):
        for along, left in ((1, 1), (1, -1), (-1, -1), (-1, 1)):
            x, y = along * length / 2, left * width / 2
            corners.append([bottom[0] + c * x - s * y, bottom[1] + s * x + c * y, bottom[2] + z])
    return {'type': 'Car', 'world_8_points': corners}


def test_a_frame_by_hand(folder):
    (frame,) = read_frames(folder, 'val')
    assert (frame.name, frame.unit) == ('000001', '4')
    assert frame.ego_image == folder / 'vehicle-side/image/000001.jpg'
    assert frame.infra_image == folder / 'infrastructure-side/image/000012.jpg'
    assert frame.infra_stamp_ns - frame.ego_stamp_ns == 1_100_000_000
    assert frame.K_ego[0, 0] == 1000
    # The car is 20 m ahead on the ground, 2 m below the lidar, and goes where the vehicle goes.
    np.testing.assert_allclose(frame.truth.centres_m[0], [20, 0, -2 + 0.75], atol=1e-9)
    np.testing.assert_allclose(frame.truth.sizes_m[0], [4, 2, 1.5])
    assert frame.truth.yaws_rad[0] == pytest.approx(0.0)
    # The bus goes along the world's x, which is to the right.
    np.testing.assert_allclose(frame.truth.centres_m[1, :2], [10, 10], atol=1e-9)
    assert frame.truth.yaws_rad[1] == pytest.approx(-math.pi / 2)
    assert len(frame.truth) == 2


def test_the_roadside_pose_is_corrected(folder):
    (frame,) = read_frames(folder, 'val')
    np.testing.assert_allclose(frame.T_camera_world[:3, 3], [-1.5, -2, -3])
    # The origin of the lidar, (100, 50, 2), as the roadside camera has it.
    np.testing.assert_allclose(frame.T_camera_lidar_infra[:3, 3], [98.5, 48, -1], atol=1e-9)


def test_only_the_roadside_moves_with_its_correction(folder):
    before = read_frames(folder, 'val')[0]
    path = folder / 'infrastructure-side/calib/virtuallidar_to_world/000012.json'
    values = json.loads(path.read_text())
    values['relative_error'] = {'delta_x': 1.5, 'delta_y': 0}
    path.write_text(json.dumps(values))
    after = read_frames(folder, 'val')[0]
    shift = after.T_camera_lidar_infra - before.T_camera_lidar_infra
    np.testing.assert_allclose(shift[:3, 3], [-1, 0, 0])
    np.testing.assert_array_equal(after.truth.centres_m, before.truth.centres_m)
    np.testing.assert_array_equal(after.T_camera_lidar, before.T_camera_lidar)


def test_moving_the_vehicle_and_the_world_alike_changes_nothing_the_vehicle_sees(folder):
    before = read_frames(folder, 'val')[0]
    for path, key in (
        (folder / 'vehicle-side/calib/novatel_to_world/000001.json', None),
        (folder / 'cooperative/label_world/000001.json', 'world_8_points'),
    ):
        values = json.loads(path.read_text())
        if key is None:
            values['translation'] = [[1100], [50], [7]]
        else:
            for label in values:
                label[key] = [[x + 1000, y, z + 7] for x, y, z in label[key]]
        path.write_text(json.dumps(values))
    after = read_frames(folder, 'val')[0]
    np.testing.assert_allclose(after.truth.centres_m, before.truth.centres_m, atol=1e-9)


def test_an_old_form_of_calibration(folder):
    rows = [0, -1, 0, 0.5, 0, 0, -1, 0, 1, 0, 0, 0.25]
    write(folder / 'vehicle-side/calib/lidar_to_camera/000001.json', {'Tr_velo_to_cam': rows})
    T = read_frames(folder, 'val')[0].T_camera_lidar
    np.testing.assert_allclose(T @ [20, 2, -1, 1], [-1.5, 1, 20.25, 1])


def test_earlier_roadside_images(folder):
    (frame,) = read_frames(folder, 'val', delay=1)
    assert frame.infra_image.stem == '000011'
    assert frame.name == '000001'
    # Two earlier would be of another recording.
    with pytest.raises(DatasetError, match="found no frame of split 'val' at delay 2"):
        read_frames(folder, 'val', delay=2)
    assert [f.name for f in read_frames(folder, delay=2)] == ['000002']


def test_all_frames(folder):
    assert [f.name for f in read_frames(folder)] == ['000001', '000002']


def test_boxes_without_a_side_are_left_out(folder):
    path = folder / 'cooperative/label_world/000001.json'
    path.write_text(json.dumps([car((100, 70, 0), 0.0, (4, 0, 1.5)), car((100, 80, 0), 0.0)]))
    assert len(read_frames(folder, 'val')[0].truth) == 1


def test_no_box_at_all(folder):
    (folder / 'cooperative/label_world/000001.json').write_text('[]')
    assert len(read_frames(folder, 'val')[0].truth) == 0


@pytest.mark.parametrize(
    ('file', 'text', 'message'),
    [
        ('cooperative-split-data.json', '{"cooperative_split": {"train": []}}', 'it has train'),
        ('cooperative/data_info.json', '{', 'data_info.json: cannot be read'),
        ('cooperative/data_info.json', '[{}]', "an entry without 'vehicle_image_path'"),
        ('vehicle-side/calib/camera_intrinsic/000001.json', '{}', 'found no cam_K'),
        ('vehicle-side/calib/lidar_to_camera/000001.json', '{}', 'found no rotation'),
        ('cooperative/label_world/000001.json', '[{"type": "Car"}]', 'found no world_8_points'),
    ],
)
def test_what_is_wrong_is_named(folder, file, text, message):
    (folder / file).write_text(text)
    with pytest.raises(DatasetError, match=message):
        read_frames(folder, 'val')
