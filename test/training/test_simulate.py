import argparse
import json

import cv2
import numpy as np
import pytest

from thermal_perception.errors import DatasetError
from thermal_perception.simulation import SEMANTIC_NAMES
from thermal_perception.types import SegmentationMask
from training.simulate import (
    add_arguments,
    mfnet_labels,
    rectangle_rle,
    run,
    simulate,
    SimulateOptions,
)


def decode(counts, size):
    """Slow reference: runs of 0 and 1 in turn, column by column."""
    flat = np.concatenate([np.full(n, i % 2) for i, n in enumerate(counts)])
    return flat.reshape(size[1], size[0]).T


@pytest.mark.parametrize(
    'box',
    [
        (2.0, 1.0, 5.0, 4.0),
        (0.0, 0.0, 3.0, 2.0),
        (4.0, 3.0, 8.0, 6.0),
        (2.0, 0.0, 5.0, 6.0),
        (0.0, 0.0, 8.0, 6.0),
        (2.0, 2.0, 3.0, 6.0),
    ],
    ids=['inside', 'first corner', 'last corner', 'full columns', 'everything', 'to the bottom'],
)
def test_rectangle_rle_fills_exactly_the_rectangle(box):
    expected = np.zeros((6, 8), int)
    x1, y1, x2, y2 = map(int, box)
    expected[y1:y2, x1:x2] = 1
    counts = rectangle_rle(list(box), (6, 8))
    assert sum(counts) == 48
    np.testing.assert_array_equal(decode(counts, (6, 8)), expected)


def test_rectangle_rle_takes_in_touched_pixels():
    mask = decode(rectangle_rle([1.5, 1.5, 2.5, 2.5], (6, 8)), (6, 8))
    assert mask.sum() == 4


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp('simulated')
    pictures = {'bits': 16, 'rgb': True, 'labels': True}
    options = SimulateOptions(
        folder, 'road', 'night', scenes=2, frames_per_scene=2, seed=5, **pictures
    )
    path = simulate(options)
    return folder, json.loads(path.read_text())


def test_simulate_writes_16_bit_images_and_colour_beside_them(made):
    folder, coco = made
    assert len(coco['images']) == 4
    for image in coco['images']:
        thermal = cv2.imread(str(folder / 'images/train' / image['file_name']), -1)
        assert thermal.dtype == np.uint16
        assert thermal.shape == (image['height'], image['width'])
        rgb = cv2.imread(str(folder / 'rgb/train' / image['file_name']), -1)
        assert rgb.shape == (720, 1280, 3)


def test_label_images_show_the_objects_of_the_boxes(made):
    folder, coco = made
    ids = {1: 2, 2: 1, 3: 3, 4: 255}  # category to what MFNet calls it; it knows no lorries
    checked = 0
    for image in coco['images']:
        labels = cv2.imread(str(folder / 'labels/train' / image['file_name']), -1)
        assert labels.shape == (image['height'], image['width'])
        assert set(np.unique(labels)) <= {0, 1, 2, 3, 255}
        for row in coco['annotations']:
            x, y, w, h = map(int, row['bbox'])
            if row['image_id'] == image['id'] and row['visibility'] > 0.9 and min(w, h) > 12:
                inside = labels[y : y + h, x : x + w]
                assert (inside == ids[row['category_id']]).mean() > 0.2
                checked += 1
    assert checked > 0


def test_what_mfnet_does_not_name_is_unlabelled_and_lorries_are_unknown():
    ours = np.arange(len(SEMANTIC_NAMES), dtype=np.uint8)[None]
    found = mfnet_labels(SegmentationMask(ours, SEMANTIC_NAMES, 0, ''))
    assert dict(zip(SEMANTIC_NAMES, found[0].tolist())) == {
        **dict.fromkeys(SEMANTIC_NAMES, 0),
        'car': 1,
        'person': 2,
        'bicycle': 3,
        'other_vehicle': 255,
    }


def test_simulate_annotations_are_coco(made):
    _, coco = made
    assert [(c['id'], c['name']) for c in coco['categories']] == [
        (1, 'Person'),
        (2, 'Car'),
        (3, 'Bicycle'),
        (4, 'OtherVehicle'),
    ]
    ids = [a['id'] for a in coco['annotations']]
    assert ids == list(range(1, len(ids) + 1))
    for row in coco['annotations']:
        x, y, w, h = row['bbox']
        assert x >= 0
        assert y >= 0
        assert x + w <= 640
        assert y + h <= 512
        assert row['area'] == w * h
        assert 1 <= row['category_id'] <= 4


def test_simulate_marks_small_and_hidden_objects_to_be_ignored(made):
    _, coco = made
    for row in coco['annotations']:
        poor = row['visibility'] < 0.25 or row['bbox'][3] < 6.0
        assert row['iscrowd'] == int(poor)
        assert ('ignore' in row) == poor
    assert {row['iscrowd'] for row in coco['annotations']} == {0, 1}


def test_simulate_says_how_it_was_made(made):
    _, coco = made
    assert coco['info']['options']['seed'] == 5
    assert len({image['scene_seed'] for image in coco['images']}) == 2


def test_simulate_splits_of_one_seed_never_share_a_world(tmp_path):
    seeds = {}
    for split in ('train', 'test'):
        options = SimulateOptions(
            tmp_path, 'road', 'day', scenes=1, frames_per_scene=1, split=split, seed=5
        )
        coco = json.loads(simulate(options).read_text())
        seeds[split] = coco['images'][0]['scene_seed']
    assert seeds['train'] != seeds['test']


def test_simulate_when_split_exists_then_refuses(made):
    folder, _ = made
    with pytest.raises(DatasetError, match='exists, expected a new split'):
        simulate(SimulateOptions(folder, 'road', scenes=1, frames_per_scene=1))


def test_run_takes_the_options_of_the_command_line(tmp_path, capsys):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    line = f'--output {tmp_path} --preset aerial --condition mixed --scenes 1 --bits 8'
    args = parser.parse_args([*line.split(), '--frames-per-scene', '1', '--split', 'test'])
    assert run(args) == 0
    assert 'test.json: 1 images' in capsys.readouterr().out
    assert (tmp_path / 'images/test/aerial_day_0000_000.png').is_file()
