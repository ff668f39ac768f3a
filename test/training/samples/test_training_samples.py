from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
import pytest
import torch

from thermal_perception.errors import ConfigError
from thermal_perception.preprocess import Preprocess, PreprocessConfig
from training.augment import AugmentConfig
from training.datasets import DataFolder, DatasetConfig
from training.samples import collate, Sample, TrainingSamples

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
}


def still(folder, **changes):
    """Return samples that are the whole images, unchanged."""
    augment = AugmentConfig(crop_size=(64, 64), **{**STILL, **changes})
    return TrainingSamples([folder], augment, Preprocess(PreprocessConfig()), seed=0)


def white(height, width):
    return Sample(
        np.ones((height, width), np.float32), np.zeros((0, 4), np.float32), np.zeros(0, np.int64)
    )


def blank(count):
    return [(np.full((64, 64), 90, np.uint8), [], []) for _ in range(count)]


def test_ignore_regions_are_no_objects_and_are_wiped_out_of_samples(tmp_path, write):
    image = np.full((64, 64), 200, np.uint8)
    scene = (image, [(40, 40, 60, 60)], [1])
    write(tmp_path, [scene], crowd=[(0, (8, 8, 24, 24))])
    folder = DataFolder(DatasetConfig(str(tmp_path)), CLASSES)
    assert_allclose(folder.records[0].ignore_xyxy_px, [[8, 8, 24, 24]])
    sample = still(folder).sample((0, 0), epoch=0, position=0)
    assert sample.labels.tolist() == [1]
    assert_allclose(sample.thermal[8:24, 8:24], 0.35)
    assert_allclose(sample.thermal[40:60, 40:60], 200 / 255, atol=1e-6)


def test_targets_are_centre_and_size_relative_to_the_sample(tmp_path, write):
    scene = (np.full((64, 64), 90, np.uint8), [(16, 8, 48, 40)], [1])
    folder = DataFolder(DatasetConfig(str(write(tmp_path, [scene]))), CLASSES)
    sample = still(folder).sample((0, 0), epoch=0, position=0)
    assert sample.thermal.shape == (64, 64)
    assert_allclose(sample.thermal, 90 / 255, atol=1e-6)
    target = sample.target()
    assert_allclose(target.boxes.numpy(), [[0.5, 0.375, 0.5, 0.5]])
    assert target.labels.dtype == torch.int64


def test_a_sample_depends_on_seed_epoch_and_position_only(make_samples):
    first, second = make_samples(), make_samples()
    second.sample((0, 3), epoch=5, position=9)  # what was drawn before does not matter
    drawn = first.sample((0, 1), epoch=2, position=7)
    same = second.sample((0, 1), epoch=2, position=7)
    assert_array_equal(drawn.thermal, same.thermal)
    assert_array_equal(drawn.boxes_xyxy_px, same.boxes_xyxy_px)
    other = first.sample((0, 1), epoch=3, position=7)
    assert np.abs(other.thermal - drawn.thermal).max() > 0.01


def test_order_is_a_shuffle_of_all_images_and_changes_with_the_epoch(make_samples):
    samples = make_samples()
    orders = [samples.order(e) for e in range(6)]
    assert all(sorted(o) == [(0, 0), (0, 1), (0, 2), (0, 3)] for o in orders)
    assert len({tuple(o) for o in orders}) > 1
    assert orders[2] == make_samples().order(2)


def test_repeat_may_be_a_fraction_and_the_length_of_an_epoch_stays(coco):
    folder = DataFolder(DatasetConfig(str(coco), repeat=2.5), CLASSES)
    samples = still(folder)
    assert samples.per_epoch == 10
    for epoch in range(5):
        counts = np.bincount([i for _, i in samples.order(epoch)], minlength=4)
        assert counts.sum() == 10
        assert counts.min() >= 1


def test_images_with_a_rare_class_come_more_often(tmp_path, write):
    rare = (np.zeros((64, 64), np.uint8), [(1, 1, 20, 20)], [1])
    write(tmp_path, [*blank(15), rare])
    folder = DataFolder(DatasetConfig(str(tmp_path), rare_repeat=0.25), CLASSES)
    samples = still(folder)
    # The class is in 1/16 of the images: sqrt(0.25 * 16) = 2.
    assert samples.per_epoch == 17
    assert samples.order(0).count((0, 15)) == 2


def test_slivers_at_the_border_are_wiped_out_and_not_asked_for(tmp_path, write):
    image = np.full((64, 64), 50, np.uint8)
    image[20:40, 24:64] = 250
    scene = (image, [(24, 20, 64, 40)], [0])
    folder = DataFolder(DatasetConfig(str(write(tmp_path, [scene]))), CLASSES)
    augment = AugmentConfig(crop_size=(64, 32), min_visible=0.5, **STILL)
    samples = TrainingSamples([folder], augment, Preprocess(PreprocessConfig()), seed=0)
    for position in range(30):
        drawn = samples.sample((0, 0), epoch=0, position=position)
        bright = (drawn.thermal > 0.9).sum()
        assert (bright > 0) == (len(drawn.labels) == 1)


def test_eight_bit_frames_may_pass_as_sixteen_bit_ones(coco, scenes):
    folder = DataFolder(DatasetConfig(str(coco)), CLASSES)
    sample = still(folder, deep=1.0).sample((0, 0), epoch=0, position=0)
    assert sample.thermal.min() == 0
    assert sample.thermal.max() == 1  # the percentile transform of 16 bits spans the interval
    plain = scenes[0][0].astype(float)
    assert np.corrcoef(sample.thermal.ravel(), plain.ravel())[0, 1] > 0.9


def test_unequal_images_are_padded_right_and_below_as_on_the_robot():
    batch = collate([white(40, 60), white(64, 30)], PreprocessConfig(pad_multiple=32))
    assert batch.thermal.shape == (2, 1, 64, 64)
    assert batch.padding[0].sum() == 64 * 64 - 40 * 60
    assert (batch.thermal[:, 0] == (~batch.padding).float()).all()
    assert not batch.padding[0, :40, :60].any()


def test_equal_images_of_a_fitting_size_need_no_mask():
    batch = collate([white(64, 32)] * 2, PreprocessConfig(pad_multiple=32))
    assert batch.padding is None
    assert batch.rgb is None
    assert batch.present is None
    assert batch.labelled is None


def test_samples_are_the_same_from_memory_from_the_cache_and_decoded_when_drawn(coco, tmp_path):
    folders = [
        DataFolder(DatasetConfig(str(coco)), CLASSES),
        DataFolder(DatasetConfig(str(coco)), CLASSES, cache=tmp_path / 'cache'),
        DataFolder(DatasetConfig(str(coco), lazy=True), CLASSES),
    ]
    augment = AugmentConfig(crop_size=(48, 48))
    first, *others = [
        TrainingSamples([f], augment, Preprocess(PreprocessConfig()), seed=5) for f in folders
    ]
    for position, pair in enumerate(first.order(1)):
        drawn = first.sample(pair, epoch=1, position=position)
        for other in others:
            same = other.sample(pair, epoch=1, position=position)
            assert_array_equal(same.thermal, drawn.thermal)
            assert_array_equal(same.boxes_xyxy_px, drawn.boxes_xyxy_px)


def test_images_of_different_sizes_give_crops_of_one_size(tmp_path, write):
    rng = np.random.default_rng(0)
    scenes = [
        (rng.integers(0, 255, size).astype(np.uint8), [(2, 3, 30, 33)], [0])
        for size in ((64, 96), (130, 70), (40, 40))
    ]
    folder = DataFolder(DatasetConfig(str(write(tmp_path, scenes))), CLASSES)
    augment = AugmentConfig(crop_size=(64, 64))
    samples = TrainingSamples([folder], augment, Preprocess(PreprocessConfig()), seed=0)
    batch = samples.batch(samples.order(0), epoch=0, first=0)
    assert batch.thermal.shape == (3, 1, 64, 64)


def test_a_broken_image_changes_the_samples_of_no_other(coco):
    augment = AugmentConfig(crop_size=(64, 64))

    def samples():
        folder = DataFolder(DatasetConfig(str(coco), lazy=True), CLASSES)
        return TrainingSamples([folder], augment, Preprocess(PreprocessConfig()), seed=0)

    whole = samples()
    file = coco / 'images/train/frame_0001.png'
    data = file.read_bytes()
    file.write_bytes(data[:40] + bytes(len(data) - 60) + data[-20:])
    broken = samples()
    assert broken.order(3) == whole.order(3)
    for image in (0, 2, 3):
        expected = whole.sample((0, image), epoch=3, position=image)
        drawn = broken.sample((0, image), epoch=3, position=image)
        assert_array_equal(drawn.thermal, expected.thermal)
    replaced = broken.sample((0, 1), epoch=3, position=1)
    instead = whole.sample((0, 2), epoch=3, position=1)
    assert_array_equal(replaced.thermal, instead.thermal)
    assert broken.folders[0].problems[0].kind == 'unreadable image'


def bright_share(image, box_cxcywh):
    """Return how much of a relative box is bright."""
    height, width = image.shape
    x, y, w, h = (np.array(box_cxcywh) * (width, height, width, height)).tolist()
    part = image[round(y - h / 2) : round(y + h / 2), round(x - w / 2) : round(x + w / 2)]
    return (part > 0.6).mean()


def test_a_mosaic_shows_objects_of_several_images_where_it_says(make_samples):
    samples = make_samples(**{**STILL, 'mosaic': 1.0, 'min_visible': 0.9})
    for position in range(6):
        drawn = samples.sample((0, 0), epoch=0, position=position)
        assert drawn.thermal.shape == (64, 64)
        for box in drawn.target().boxes:
            assert bright_share(drawn.thermal, box.tolist()) > 0.75
    again = samples.sample((0, 0), epoch=0, position=5)
    assert_array_equal(again.thermal, drawn.thermal)


def test_a_mosaic_of_whole_images_is_refused(make_samples):
    samples = make_samples(mosaic=1.0)
    samples.drawer.augment = replace(samples.drawer.augment, crop_size=None)
    with pytest.raises(ConfigError, match='mosaic: found whole images, expected a crop_size'):
        samples.sample((0, 0), epoch=0, position=0)


def test_pasted_objects_are_of_rare_classes_and_get_a_target(tmp_path, write):
    image = np.full((128, 128), 60, np.uint8)
    image[20:34, 20:30] = 220
    image[80:94, 80:100] = 220
    common = [(20, 20, 30, 34)]
    scenes = [(image, common, [0]) for _ in range(12)]
    scenes.append((image, [*common, (80, 80, 100, 94)], [0, 1]))
    folder = DataFolder(DatasetConfig(str(write(tmp_path, scenes))), CLASSES)
    augment = AugmentConfig(crop_size=(128, 128), **{**STILL, 'paste': 1.0})
    samples = TrainingSamples([folder], augment, Preprocess(PreprocessConfig()), seed=0)
    pasted = []
    for position in range(20):
        drawn = samples.sample((0, 0), epoch=0, position=position)
        pasted += drawn.labels[1:].tolist()
        for box in drawn.target().boxes[1:]:
            assert bright_share(drawn.thermal, box.tolist()) > 0.7
    assert len(pasted) > 10
    assert pasted.count(1) > 3 * pasted.count(0)
    again = samples.sample((0, 0), epoch=0, position=19)
    assert_array_equal(drawn.thermal, again.thermal)


def test_what_is_rare_is_judged_within_the_folder_that_is_pasted_from(tmp_path, write):
    image = np.full((128, 128), 60, np.uint8)
    boxes = [(20, 20, 30, 34), (60, 20, 70, 34), (20, 80, 40, 94)]
    few = [(image, boxes, [0, 0, 1])]
    here = DataFolder(DatasetConfig(str(write(tmp_path / 'a', few))), CLASSES)
    there = [(image, boxes, [1, 1, 1])] * 10  # where the rare class is common
    other = DataFolder(DatasetConfig(str(write(tmp_path / 'b', there))), CLASSES)
    augment = AugmentConfig(crop_size=(128, 128), **{**STILL, 'paste': 1.0})
    samples = TrainingSamples([here, other], augment, Preprocess(PreprocessConfig()), seed=0)
    drawn = [samples.sample((0, 0), epoch=0, position=p).labels[3:].tolist() for p in range(40)]
    pasted = np.bincount(np.concatenate(drawn).astype(int), minlength=2)
    # Two of class 0 at a quarter each against one of class 1: twice as many of the rarer.
    assert pasted.sum() > 20
    assert pasted[1] > pasted[0]


def test_nothing_is_pasted_from_a_folder_without_objects(tmp_path, write):
    scenes = [(np.full((64, 64), 60, np.uint8), [], [])]
    samples = still(DataFolder(DatasetConfig(str(write(tmp_path, scenes))), CLASSES), paste=1.0)
    drawn = samples.sample((0, 0), epoch=0, position=0)
    assert len(drawn.labels) == 0
