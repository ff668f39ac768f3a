"""Samples of two cameras: what moves together, what does not, and what is missing."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
import pytest

from thermal_perception.errors import ConfigError
from thermal_perception.preprocess import Preprocess, PreprocessConfig
from training.augment import AugmentConfig
from training.datasets import DataFolder, DatasetConfig
from training.samples import TrainingSamples

CLASSES = ('person', 'car')
STILL = {
    'zoom': (1.0, 1.0),
    'focus': 0.0,
    'horizontal_flip': 0.0,
    'gain': (1.0, 1.0),
    'offset': (0.0, 0.0),
    'gamma': (1.0, 1.0),
    'noise': 0.0,
    'blur': 0.0,
    'deep': 0.0,
    'rgb_gain': (1.0, 1.0),
    'rgb_gamma': (1.0, 1.0),
    'rgb_balance': 0.0,
    'rgb_noise': 0.0,
}


def draw_marker(size, box, *, colour):
    """Draw a bright rectangle, in B, G, R if it has a colour."""
    image = np.full(size if colour is None else (*size, 3), 40, np.uint8)
    x1, y1, x2, y2 = box
    image[y1:y2, x1:x2] = 240 if colour is None else colour
    return image


@pytest.fixture
def simulated(tmp_path, write):
    """Return a set of four pairs whose colour images are twice as large."""
    folder = tmp_path / 'pairs'
    boxes = [(12 + 4 * n, 20, 32 + 4 * n, 36) for n in range(4)]
    write(
        folder,
        [(draw_marker((64, 64), b, colour=None), [b], [n % 2]) for n, b in enumerate(boxes)],
    )
    (folder / 'rgb/train').mkdir(parents=True)
    for n, box in enumerate(boxes):
        twice = [2 * value for value in box]
        image = draw_marker((128, 128), twice, colour=(0, 0, 240))
        cv2.imwrite(str(folder / f'rgb/train/frame_{n:04d}.png'), image)
    return folder


@pytest.fixture
def pair_with_mask(tmp_path):
    """Return a set arranged as MFNet's: one pair of 48 x 64 in which 20 x 20 pixels are warm."""
    mask = np.zeros((48, 64), np.uint8)
    mask[10:30, 20:40] = 3
    warm = np.where(mask == 3, 220, 20)
    planes = np.dstack([warm] * 4)
    for folder, image in (('images', planes), ('labels', mask)):
        (tmp_path / folder).mkdir()
        cv2.imwrite(str(tmp_path / folder / '00001D.png'), image.astype(np.uint8))
    (tmp_path / 'train.txt').write_text('00001D\n')
    return tmp_path


def samples_of(
    directory,
    layout='simulator',
    split='train',
    size=(64, 64),
    pictures=('thermal', 'rgb'),
    **changes,
):
    folder = DataFolder(
        DatasetConfig(str(directory), layout=layout, split=split), CLASSES, pictures=pictures
    )
    augment = AugmentConfig(crop_size=size, **{**STILL, **changes})
    return TrainingSamples([folder], augment, Preprocess(PreprocessConfig()), seed=0)


def marker(image):
    """Return x1, y1, x2, y2 of what is bright in an image (H, W)."""
    y, x = np.nonzero(image > 0.5)
    return np.array([x.min(), y.min(), x.max() + 1, y.max() + 1])


def test_both_images_and_the_boxes_go_through_one_view(simulated):
    samples = samples_of(simulated, zoom=(0.7, 1.5), horizontal_flip=0.5, focus=1.0)
    for position in range(12):
        sample = samples.sample((0, position % 4), epoch=0, position=position)
        assert sample.rgb.shape == (64, 64, 3)
        assert_allclose(marker(sample.thermal), sample.boxes_xyxy_px[0], atol=1.01)
        assert_allclose(marker(sample.rgb[..., 0]), sample.boxes_xyxy_px[0], atol=1.51)


def test_colours_come_in_the_order_red_green_blue(simulated):
    sample = samples_of(simulated).sample((0, 0), epoch=0, position=0)
    assert_allclose(sample.rgb[28, 22], [240 / 255, 0, 0], atol=1e-3)


def test_the_colour_image_alone_is_out_of_register(simulated):
    samples = samples_of(simulated, misregister_px=6.0)
    shifts = []
    for position in range(10):
        sample = samples.sample((0, 0), epoch=0, position=position)
        assert_allclose(marker(sample.thermal), sample.boxes_xyxy_px[0], atol=1.01)
        shifts.append(marker(sample.rgb[..., 0])[:2] - sample.boxes_xyxy_px[0, :2])
    assert np.abs(shifts).max() <= 7.1
    assert np.abs(shifts).max(0).min() > 2


@pytest.mark.parametrize('camera', ['thermal', 'rgb'])
def test_a_camera_that_failed_is_black_and_told(simulated, camera):
    samples = samples_of(simulated, **{f'drop_{camera}': 1.0}, offset=(0.1, 0.1))
    batch = samples.batch([(0, 0), (0, 1)], epoch=0, first=0)
    missing, left = {'thermal': (batch.thermal, batch.rgb), 'rgb': (batch.rgb, batch.thermal)}[
        camera
    ]
    assert missing.abs().max() == 0
    assert left.max() > 0.5
    assert batch.present.tolist() == [[camera != 'thermal', camera != 'rgb']] * 2
    assert [len(target.labels) for target in batch.targets] == [1, 1]


def test_cameras_fail_as_often_as_asked(simulated):
    samples = samples_of(simulated, drop_thermal=0.2, drop_rgb=0.5)
    drawn = [samples.sample((0, 0), epoch=0, position=p).missing for p in range(300)]
    assert 40 <= drawn.count('thermal') <= 85
    assert 120 <= drawn.count('rgb') <= 180


def test_light_changes_the_colour_image_alone(simulated):
    plain = samples_of(simulated).sample((0, 0), epoch=0, position=0)
    varied = samples_of(simulated, rgb_gain=(0.5, 0.5)).sample((0, 0), epoch=0, position=0)
    assert_array_equal(varied.thermal, plain.thermal)
    assert_allclose(varied.rgb, plain.rgb / 2, atol=1e-6)


def test_mosaics_hold_both_cameras(simulated):
    samples = samples_of(simulated, mosaic=1.0, min_visible=0.9, focus=1.0)
    for position in range(5):
        sample = samples.sample((0, 0), epoch=0, position=position)
        assert sample.rgb.shape == (64, 64, 3)
        for x1, y1, x2, y2 in sample.boxes_xyxy_px.round().astype(int):
            assert sample.rgb[y1:y2, x1:x2, 0].mean() > 0.6
            assert sample.thermal[y1:y2, x1:x2].mean() > 0.6


def test_pasting_into_pairs_is_refused(simulated):
    with pytest.raises(ConfigError, match='paste: found thermal and rgb images, expected thermal'):
        samples_of(simulated, paste=0.5)


def test_cut_outs_need_label_images(simulated):
    with pytest.raises(ConfigError, match='cutout: found no label images'):
        samples_of(simulated, cutout=0.5)


def test_a_cut_out_hides_both_images_and_makes_labels_unknown(pair_with_mask):
    samples = samples_of(
        pair_with_mask,
        layout='mfnet',
        size=(48, 64),
        pictures=('thermal', 'rgb', 'mask'),
        cutout=1.0,
        cutout_holes=(1, 1),
        cutout_px=(8, 8),
    )
    sample = samples.sample((0, 0), epoch=0, position=0)
    hidden = sample.mask == 255
    assert hidden.sum() == 64  # of 8 x 8; the image itself is known everywhere
    assert_array_equal(sample.thermal == 0, hidden)  # 20 and 220 elsewhere
    assert_array_equal((sample.rgb == 0).all(-1), hidden)
    again = samples.sample((0, 0), epoch=0, position=0)
    assert_array_equal(again.mask, sample.mask)


def test_pairs_without_labels_are_not_taken_for_empty(tmp_path):
    for kind in ('thermal', 'rgb'):
        (tmp_path / kind).mkdir()
        cv2.imwrite(str(tmp_path / kind / 'a.png'), np.full((64, 64), 90, np.uint8))
    samples = samples_of(tmp_path, layout='pairs', split=None)
    batch = samples.batch([(0, 0)], epoch=0, first=0)
    assert batch.labelled.tolist() == [False]
    assert_allclose(batch.rgb, 90 / 255, atol=1e-6)


@pytest.mark.parametrize(('pictures', 'kept'), [((), False), (('mask',), True)])
def test_regions_without_a_verdict_stay_where_label_images_judge_them(
    simulated, write, pictures, kept
):
    box = (12, 20, 32, 36)
    scene = draw_marker((64, 64), box, colour=None), [], []
    write(simulated, [scene], split='far', crowd=[(0, box)])
    for kind, image in (('rgb', np.zeros((64, 64, 3))), ('labels', np.ones((64, 64)))):
        (simulated / kind / 'far').mkdir(parents=True)
        cv2.imwrite(str(simulated / kind / 'far' / 'frame_0000.png'), image.astype(np.uint8))
    samples = samples_of(simulated, split='far', pictures=('thermal', 'rgb', *pictures))
    batch = samples.batch([(0, 0)], epoch=0, first=0)
    assert bool((batch.thermal > 0.9).any()) == kept


@pytest.mark.parametrize(
    'change', [{}, {'turn': 1.0}, {'bend': 1.0}], ids=['plain', 'turned', 'bent']
)
def test_masks_move_with_the_images_and_are_unknown_outside(pair_with_mask, change):
    samples = samples_of(
        pair_with_mask,
        layout='mfnet',
        size=(64, 96),
        pictures=('thermal', 'rgb', 'mask'),
        **change,
    )
    batch = samples.batch([(0, 0)], epoch=0, first=0)
    found = batch.masks[0].numpy()
    for image in (batch.thermal[0, 0], batch.rgb[0, 1]):
        # nearest neighbours against interpolation
        assert ((found == 3) != (image > 0.5).numpy()).sum() < (12 if change else 8)
    assert (found == 255).sum() > 0
    assert (found == 3).sum() > 300
