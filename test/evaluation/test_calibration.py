"""Images for calibration: which ones of a folder or a data set, seen by which cameras."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from thermal_perception.errors import DatasetError
from thermal_perception.evaluation.calibration import open_images

THERMAL = ('thermal',)
BOTH = ('thermal', 'rgb')


def write(folder, number, shape=(4, 6)):
    """Write images that hold their number."""
    folder.mkdir(parents=True)
    for value in range(number):
        cv2.imwrite(str(folder / f'{value}.png'), np.full(shape, value, np.uint8))


def values(frames):
    return [int(moment.thermal.image[0, 0]) for moment in frames]


def test_images_are_spread_evenly_over_a_folder(tmp_path):
    write(tmp_path / 'images', 9)
    assert values(open_images(tmp_path / 'images', None, 3)(THERMAL)) == [0, 3, 6]


def test_folder_of_fewer_images_gives_all_and_gives_them_again(tmp_path):
    write(tmp_path / 'images', 2)
    images = open_images(tmp_path / 'images', None, 64)
    assert values(images(THERMAL)) == values(images(THERMAL)) == [0, 1]


def test_data_set_with_boxes_gives_what_the_cameras_of_a_split_saw(tmp_path):
    write(tmp_path / 'images' / 'train', 2)
    write(tmp_path / 'rgb' / 'train', 2, (4, 6, 3))
    rows = [{'id': 7 + value, 'file_name': f'{value}.png'} for value in range(2)]
    (tmp_path / 'annotations').mkdir()
    content = {'images': rows, 'annotations': [], 'categories': []}
    (tmp_path / 'annotations' / 'train.json').write_text(json.dumps(content))
    images = open_images(tmp_path, 'train', 2)
    assert values(images(THERMAL)) == [0, 1]
    assert [moment.rgb.image.shape for moment in images(BOTH)] == [(4, 6, 3)] * 2
    assert [moment.thermal for moment in images(('rgb',))] == [None, None]


def test_pairs_give_one_camera_or_both(tmp_path):
    write(tmp_path / 'infrared', 2)
    write(tmp_path / 'visible', 2, (4, 6, 3))
    images = open_images(tmp_path, None, 2)
    assert [(m.thermal is None, m.rgb is None) for m in images(BOTH)] == [(False, False)] * 2
    assert [(m.thermal is None, m.rgb is None) for m in images(THERMAL)] == [(False, True)] * 2
    assert [(m.thermal is None, m.rgb is None) for m in images(('rgb',))] == [(True, False)] * 2


def test_labelled_pairs_are_found_by_their_split(tmp_path):
    write(tmp_path / 'train' / 'thermal', 2)
    write(tmp_path / 'train' / 'rgb', 2, (4, 6, 3))
    write(tmp_path / 'train' / 'labels', 2)
    assert values(open_images(tmp_path, 'train', 2)(BOTH)) == [0, 1]


def test_thermal_images_alone_are_refused_for_two_cameras(tmp_path):
    write(tmp_path / 'images', 1)
    images = open_images(tmp_path / 'images', None, 1)
    with pytest.raises(DatasetError, match='found thermal images alone, expected a data set of'):
        next(images(BOTH))


def test_folder_without_images_is_refused(tmp_path):
    with pytest.raises(DatasetError, match='holds no image'):
        open_images(tmp_path, None, 1)
