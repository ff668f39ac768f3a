"""MFNet, MSRS and PST900: pairs with label images."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.testing import assert_array_equal
import pytest

from thermal_perception.errors import DatasetError
from training.datasets import DataFolder, DatasetConfig


@pytest.fixture
def mfnet(tmp_path, image, text):
    for name in ('00001D', '00002N'):
        packed = np.zeros((24, 32, 4), np.uint8)
        packed[:] = (30, 20, 10, 40)  # OpenCV writes B, G, R, A: the file holds R 10, G 20, B 30
        (tmp_path / 'images').mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / 'images' / f'{name}.png'), packed)
        image(tmp_path / 'labels' / f'{name}.png', 8)
    text(tmp_path / 'train.txt', '00001D\n00002N\n')
    text(tmp_path / 'test_night.txt', '00002N\n')
    return tmp_path


def test_the_fourth_channel_of_mfnet_is_thermal_and_the_others_are_colour(mfnet, read):
    day, night = read('mfnet').records
    assert_array_equal(day.thermal.read(), np.full((24, 32), 40, np.uint8))
    assert_array_equal(day.rgb.read()[0, 0], [30, 20, 10])  # B, G, R
    assert_array_equal(day.mask.read(), np.full((24, 32), 8, np.uint8))
    assert (day.attributes.light, night.attributes.light) == ('day', 'night')


def test_mfnet_has_lists_for_day_and_night(mfnet, read):
    assert [r.name for r in read('mfnet', split='test_night').records] == ['00002N']


def test_a_three_channel_image_in_mfnet_is_left_out(mfnet, image):
    image(mfnet / 'images' / '00001D.png', channels=3)
    config = DatasetConfig(str(mfnet), layout='mfnet')
    folder = DataFolder(config, (), pictures=('thermal', 'rgb', 'mask'))
    assert [r.name for r in folder.records] == ['00002N']
    assert 'found 3 channels, expected 4' in folder.problems[0].detail
    assert folder.rgb_frame(0).image.shape == (24, 32, 3)
    assert folder.mask(0).max() == 8


@pytest.mark.parametrize(
    ('value', 'size', 'kind', 'detail'),
    [
        (1, (12, 32), 'mask of another size', 'found 32 x 12, expected 32 x 24'),
        (9, (24, 32), 'mask with unknown ids', 'found 9, expected 0..8 or 255'),
    ],
)
def test_a_label_image_that_does_not_fit_is_left_out(mfnet, image, value, size, kind, detail):
    image(mfnet / 'labels' / '00002N.png', value, size)
    config = DatasetConfig(str(mfnet), layout='mfnet')
    folder = DataFolder(config, (), pictures=('thermal', 'mask'))
    assert [r.name for r in folder.records] == ['00001D']
    assert folder.problems[0].kind == kind
    assert folder.problems[0].detail.startswith(detail)


def test_pixels_without_verdict_are_no_unknown_ids(mfnet, image):
    image(mfnet / 'labels' / '00002N.png', 255)
    config = DatasetConfig(str(mfnet), layout='mfnet')
    assert not DataFolder(config, (), pictures=('thermal', 'mask')).problems


def test_msrs_has_three_folders_a_split(tmp_path, read, image):
    for folder, channels in (('ir', 1), ('vi', 3), ('Segmentation_labels', 1)):
        image(tmp_path / 'test' / folder / '00537D.png', 3, channels=channels)
    listing = read('msrs', split='test')
    (record,) = listing.records
    assert listing.layout.mask_names[3] == 'bike'
    assert record.attributes.light == 'day'
    assert record.mask.path.parent.name == 'Segmentation_labels'


def test_pst900_takes_the_8_bit_thermal_image(tmp_path, read, image):
    name = '31_bag1a_rect_rgb_frame0000000007.png'
    for folder, channels in (('rgb', 3), ('thermal', 1), ('labels', 1)):
        image(tmp_path / 'train' / folder / name, 4, channels=channels)
    image(tmp_path / 'train' / 'thermal_raw' / name)
    listing = read('pst900')
    assert listing.records[0].thermal.path.parent.name == 'thermal'
    assert listing.layout.mask_names[4] == 'rescue_randy'
    with pytest.raises(DatasetError, match=r'val: is not a folder; .* holds train/; expected'):
        read('pst900', split='val')
