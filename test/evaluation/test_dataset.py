"""Reading COCO folders, with colour images beside the thermal ones or without."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from thermal_perception.errors import DatasetError
from thermal_perception.evaluation.dataset import open_split

RAMP = np.arange(6 * 8, dtype=np.uint8).reshape(6, 8) * 5


def make_dataset(root, names, annotated):
    (root / 'images' / 'val').mkdir(parents=True)
    (root / 'annotations').mkdir()
    for name in names:
        cv2.imwrite(str(root / 'images' / 'val' / name), RAMP)
    images = [{'id': 10 + i, 'file_name': name} for i, name in enumerate(annotated)]
    content = {'images': images, 'annotations': [], 'categories': []}
    (root / 'annotations' / 'val.json').write_text(json.dumps(content))
    return root


def test_split_lists_ids_and_files_in_annotation_order(tmp_path):
    split = open_split(make_dataset(tmp_path, ['a.png', 'b.png'], ['b.png', 'a.png']), 'val')
    assert [(i, p.name) for i, p in split.images] == [(10, 'b.png'), (11, 'a.png')]


def test_split_with_missing_images_names_the_first_and_counts_them(tmp_path):
    dataset = make_dataset(tmp_path, ['a.png'], ['a.png', 'b.png', 'c.png'])
    with pytest.raises(DatasetError, match='2 of 3 annotated images are missing, .* b.png'):
        open_split(dataset, 'val')


def test_split_without_images_or_annotations_is_refused(tmp_path):
    with pytest.raises(DatasetError, match='the annotations name no image'):
        open_split(make_dataset(tmp_path, [], []), 'val')
    with pytest.raises(DatasetError, match='test.json: cannot be read'):
        open_split(tmp_path, 'test')


def test_cameras_see_files_of_one_name(tmp_path):
    dataset = make_dataset(tmp_path, ['a.png'], ['a.png'])
    ((image_id, path),) = open_split(dataset, 'val').images
    with pytest.raises(DatasetError, match='images/val: found no rgb/val beside images/val'):
        open_split(dataset, 'val').frames(image_id, path, ('thermal', 'rgb'), None)
    (dataset / 'rgb' / 'val').mkdir(parents=True)
    colours = np.dstack((RAMP, RAMP + 1, RAMP + 2))
    cv2.imwrite(str(dataset / 'rgb' / 'val' / 'a.png'), colours)
    frames = open_split(dataset, 'val').frames(image_id, path, ('thermal', 'rgb'), None)
    np.testing.assert_array_equal(frames.thermal.image, RAMP)
    np.testing.assert_array_equal(frames.rgb.image, colours)
    assert frames.rgb.encoding == 'bgr8'
    assert open_split(dataset, 'val').frames(image_id, path, ('rgb',), None).thermal is None
    deep = open_split(dataset, 'val').frames(image_id, path, ('thermal',), 3)
    assert (deep.thermal.valid_bits, deep.thermal.image.dtype) == (14, np.uint16)
    assert deep.rgb is None
