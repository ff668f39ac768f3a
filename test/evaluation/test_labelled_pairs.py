"""Label images beside pairs: three arrangements on disk, and label maps scored against them."""

from __future__ import annotations

import json

import cv2
import numpy as np
from numpy.testing import assert_array_equal
import pytest

from thermal_perception.errors import DatasetError, MetricError
from thermal_perception.evaluation.labelled_pairs import open_labelled_pairs, score_labels
from thermal_perception.types import Detections, Perception, SegmentationMask

SIZE = (4, 6)
NAMES = ('unlabeled', 'car', 'person')


def write(path, value, channels=1):
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = SIZE if channels == 1 else (*SIZE, channels)
    image = np.zeros(shape, np.uint8)
    image[:] = value
    assert cv2.imwrite(str(path), image)


@pytest.fixture
def mfnet(tmp_path):
    for number, name in enumerate(('00001D', '00002N')):
        # OpenCV takes B, G, R, A: the file holds R 10, G 20, B 30 and thermal 40
        write(tmp_path / 'images' / f'{name}.png', (30, 20, 10, 40), 4)
        write(tmp_path / 'labels' / f'{name}.png', number)
    (tmp_path / 'test.txt').write_text('00001D\n00002N\n')
    (tmp_path / 'test_night.txt').write_text('00002N\n')
    return tmp_path


@pytest.fixture
def simulated(tmp_path):
    rows = []
    for number, condition in enumerate(('fog', 'fog', 'night')):
        name = f'road_{condition}_0000_00{number}.png'
        write(tmp_path / 'images' / 'test' / name, 40)
        write(tmp_path / 'rgb' / 'test' / name, 90, 3)
        write(tmp_path / 'labels' / 'test' / name, 1)
        seed = 7 if condition == 'fog' else 8
        rows.append({'file_name': name, 'condition': condition, 'scene_seed': seed})
    (tmp_path / 'annotations').mkdir()
    content = {'images': rows, 'annotations': [], 'categories': []}
    (tmp_path / 'annotations' / 'test.json').write_text(json.dumps(content))
    return tmp_path


def test_the_fourth_channel_of_mfnet_is_thermal_and_the_others_are_colour(mfnet):
    day, night = open_labelled_pairs(mfnet, 'test')
    frames = day.frames()
    assert_array_equal(frames.thermal.image, np.full(SIZE, 40))
    assert_array_equal(frames.rgb.image[0, 0], [30, 20, 10])  # B, G, R
    assert (day.attributes, night.attributes) == ({'light': 'day'}, {'light': 'night'})
    assert (day.unit, night.unit) == ('00001D.png', '00002N.png')
    assert [p.name for p in open_labelled_pairs(mfnet, 'test_night')] == ['00002N.png']


@pytest.mark.parametrize(
    'kinds', [('rgb', 'thermal', 'labels'), ('vi', 'ir', 'Segmentation_labels')]
)
def test_pst900_and_msrs_keep_a_folder_per_kind_in_each_split(tmp_path, kinds):
    for kind, value in zip(kinds, (90, 40, 2)):
        write(tmp_path / 'test' / kind / '00001N.png', value, 3 if value == 90 else 1)
    (pair,) = open_labelled_pairs(tmp_path, 'test')
    frames = pair.frames()
    assert frames.thermal.image.max() == 40
    assert_array_equal(frames.rgb.image, np.full((*SIZE, 3), 90))
    assert pair.labels == tmp_path / 'test' / kinds[2] / '00001N.png'


def test_simulated_pairs_know_condition_and_scene(simulated):
    pairs = open_labelled_pairs(simulated, 'test')
    assert [p.attributes['condition'] for p in pairs] == ['fog', 'fog', 'night']
    assert [p.unit for p in pairs] == [7, 7, 8]


def test_counts_replace_8_bit_images_and_depend_on_seed_and_name(mfnet):
    day, night = open_labelled_pairs(mfnet, 'test')
    frame = day.frames(counts_seed=1).thermal
    assert (frame.image.dtype, frame.valid_bits) == (np.uint16, 14)
    assert_array_equal(day.frames(counts_seed=1).thermal.image, frame.image)
    assert (night.frames(counts_seed=1).thermal.image != frame.image).any()


def test_a_folder_of_another_arrangement_is_refused(tmp_path):
    with pytest.raises(DatasetError, match="found no label images of 'val', expected SPLIT.txt"):
        open_labelled_pairs(tmp_path, 'val')


def answers(label):
    """Return a model that gives every pixel one label, and keeps what it was shown."""
    shown = []

    def perceive(frames):
        shown.append(frames)
        mask = SegmentationMask(np.full(SIZE, label, np.uint8), NAMES, 0, '')
        return Perception(Detections.none(NAMES, frames.leader), segmentation=mask)

    return perceive, shown


def test_label_maps_are_scored_by_the_name_of_the_label_image(mfnet):
    perceive, shown = answers(1)
    scorer = score_labels(open_labelled_pairs(mfnet, 'test'), perceive, NAMES)
    assert scorer.names() == ['00001D.png', '00002N.png']
    metrics = scorer.score()  # all 24 pixels of night are right, none of day
    assert (metrics.per_class['car'].IoU, metrics.per_class['unlabeled'].IoU) == (0.5, 0)
    assert (metrics.mIoU, metrics.mIoU_foreground) == (0.25, 0.5)
    assert all(frames.rgb is not None for frames in shown)


def test_a_camera_can_be_left_out(mfnet):
    perceive, shown = answers(1)
    score_labels(open_labelled_pairs(mfnet, 'test'), perceive, NAMES, without='rgb')
    assert [frames.rgb for frames in shown] == [None, None]


def test_labels_that_are_no_class_of_the_model_are_refused_with_the_file(mfnet):
    write(mfnet / 'labels' / '00002N.png', 7)
    perceive, _ = answers(1)
    with pytest.raises(MetricError, match=r'labels/00002N.png: truth: found labels 7..7'):
        score_labels(open_labelled_pairs(mfnet, 'test'), perceive, NAMES)
