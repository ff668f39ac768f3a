from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose
import pytest

POLYGON = ('x1', 'y1', 'x2', 'y2', 'x3', 'y3', 'x4', 'y4')
# A rectangle of 10 x 4 turned by 90 degrees about (120, 130): 4 wide and 10 high.
UPRIGHT = (118, 125, 122, 125, 122, 135, 118, 135)
# A square of diagonal 8 standing on its corner at (110, 110).
DIAMOND = (110, 106, 114, 110, 110, 114, 106, 110)


def xml(*objects):
    texts = [
        f'<object><name>{name}</name><polygon>'
        + ''.join(f'<{t}>{v}</{t}>' for t, v in zip(POLYGON, corners))
        + '</polygon></object>'
        for name, corners in objects
    ]
    return f'<annotation>{"".join(texts)}</annotation>'


@pytest.fixture
def published(tmp_path, image, text):
    train = tmp_path / 'train'
    image(train / 'trainimgr' / '00001.jpg', size=(240, 260))
    image(train / 'trainimg' / '00001.jpg', size=(240, 260), channels=3)
    text(train / 'trainlabelr' / '00001.xml', xml(('car', UPRIGHT), ('feright car', DIAMOND)))
    text(train / 'trainlabel' / '00001.xml', xml(('bus', UPRIGHT)))
    return tmp_path


def test_oriented_boxes_are_centre_long_side_short_side_and_angle(published, read):
    listing = read('dronevehicle')
    assert listing.class_names == ('car', 'truck', 'bus', 'van', 'freight_car')
    (record,) = listing.records
    assert record.labels.tolist() == [0, 4]
    assert_allclose(record.boxes_xyxy_px, [[118, 125, 122, 135], [106, 106, 114, 114]])
    upright, diamond = record.oriented_cxcywha
    assert_allclose(upright[:4], [120, 130, 10, 4])
    assert_allclose(abs(upright[4]), np.pi / 2, atol=1e-6)
    assert upright[4] < np.pi / 2  # -90 degrees included, 90 not
    assert_allclose(diamond[:4], [110, 110, np.sqrt(32), np.sqrt(32)], rtol=1e-5)
    assert_allclose(abs(diamond[4]), np.pi / 4, atol=1e-5)


def test_the_label_set_of_either_camera_can_be_chosen(published, read):
    (record,) = read('dronevehicle', labels_from='rgb').records
    assert record.labels.tolist() == [2]


def test_cutting_off_the_white_border_moves_boxes_and_pixels(published, read):
    (record,) = read('dronevehicle', crop_px=100).records
    assert record.thermal.read().shape == (40, 60)
    assert record.rgb.read().shape == (40, 60, 3)
    assert_allclose(record.boxes_xyxy_px[0], [18, 25, 22, 35])
    assert_allclose(record.oriented_cxcywha[0, :4], [20, 30, 10, 4])


def test_a_star_for_a_name_is_an_unknown_class(published, read, text):
    path = published / 'train' / 'trainlabelr' / '00001.xml'
    text(path, xml(('*', UPRIGHT), ('truvk', DIAMOND)))
    listing = read('dronevehicle')
    assert listing.records[0].labels.tolist() == [1]
    assert [p.kind for p in listing.problems] == ['unknown class']


def test_an_object_with_an_upright_box_only_gets_it_as_its_oriented_one(
    published, read, text, voc
):
    path = published / 'train' / 'trainlabelr' / '00001.xml'
    text(path, voc(('van', (10, 20, 50, 30))))
    assert_allclose(read('dronevehicle').records[0].oriented_cxcywha, [[30, 25, 40, 10, 0]])


def test_the_copy_of_e2e_mfd_holds_lines_of_corners_class_and_difficulty(
    tmp_path, read, image, text
):
    for camera, channels in (('ir', 1), ('rgb', 3)):
        image(tmp_path / 'test' / camera / 'images' / '7.jpg', channels=channels)
        lines = f'imagesource:x\n{" ".join(map(str, UPRIGHT))} feright car 0\n'
        text(tmp_path / 'test' / camera / 'labels' / '7.txt', lines)
    (record,) = read('dronevehicle', split='test').records
    assert record.labels.tolist() == [4]
    assert_allclose(record.oriented_cxcywha[0, :4], [120, 130, 10, 4])


def test_a_line_of_too_few_corners_is_a_broken_label(tmp_path, read, image, text):
    for name in ('7', '8'):
        for camera, channels in (('ir', 1), ('rgb', 3)):
            image(tmp_path / 'test' / camera / 'images' / f'{name}.jpg', channels=channels)
            text(tmp_path / 'test' / camera / 'labels' / f'{name}.txt', '')
    text(tmp_path / 'test' / 'ir' / 'labels' / '7.txt', '1 2 3 4 car 0\n')
    listing = read('dronevehicle', split='test')
    assert [r.name for r in listing.records] == ['8']
    assert "found '1 2 3 4 car 0', expected 8 numbers" in listing.problems[0].detail
