"""What the tests of the command share: a tiny checkpoint and a small data set."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from tiny import e2e_mfd, emiff, lite, rgbt

from thermal_perception.models.checkpoint import save_random
from thermal_perception.models.record import CheckpointInfo

CLASS_NAMES = ('person', 'car', 'bicycle', 'other_vehicle')
TINY = lite(CLASS_NAMES)


@pytest.fixture(scope='session')
def checkpoint(tmp_path_factory):
    """Return a file with random weights of a tiny network."""
    path = tmp_path_factory.mktemp('weights') / 'tiny.safetensors'
    info = CheckpointInfo(
        'tiny',
        'fusion_detr',
        TINY,
        {},
        CLASS_NAMES,
        (64, 96),
        0.05,
        training={'data': 'none'},
        licence='Apache-2.0',
    )
    save_random(path, info)
    return path


@pytest.fixture(scope='session')
def pair_checkpoint(tmp_path_factory):
    """Return a file with random weights of a tiny network for two cameras, which finds much."""
    path = tmp_path_factory.mktemp('weights') / 'tiny_pair.safetensors'
    network = e2e_mfd(CLASS_NAMES)
    info = CheckpointInfo('tiny_pair', 'e2e_mfd', network, {}, CLASS_NAMES, (64, 96), 0.0)
    save_random(path, info)
    return path


@pytest.fixture(scope='session')
def label_checkpoint(tmp_path_factory):
    """Return a file with random weights of a tiny network that labels pixels."""
    path = tmp_path_factory.mktemp('weights') / 'tiny_labels.safetensors'
    names = ('unlabeled', 'car', 'person')
    info = CheckpointInfo('tiny_labels', 'rgbt_segmentation', rgbt(names), {}, names, (64, 96))
    save_random(path, info)
    return path


@pytest.fixture(scope='session')
def v2x_checkpoint(tmp_path_factory):
    """Return a file with random weights of a small network of vehicle and roadside."""
    path = tmp_path_factory.mktemp('weights') / 'tiny_v2x.safetensors'
    grid = {'low_m': [0.0, -32.0, -3.08], 'high_m': [64.0, 32.0, 0.76], 'counts': [16, 16, 12]}
    preprocess = {'resize_to': [72, 128], 'pad_multiple': 32}
    save_random(
        path,
        CheckpointInfo(
            'tiny_v2x', 'emiff', emiff(grid=grid), preprocess, ('car',), (72, 128), 0.0
        ),
    )
    return path


@pytest.fixture(scope='session')
def dataset(tmp_path_factory):
    """Return a COCO data set of three 64 x 96 images with objects and a region to ignore."""
    root = tmp_path_factory.mktemp('dataset')
    (root / 'images' / 'val').mkdir(parents=True)
    (root / 'annotations').mkdir()
    rng = np.random.default_rng(0)
    images, annotations = [], []
    for number in range(3):
        image = rng.integers(0, 255, (64, 96)).astype(np.uint8)
        name = f'{number}.png'
        cv2.imwrite(str(root / 'images' / 'val' / name), image)
        images.append({'id': number, 'file_name': name, 'width': 96, 'height': 64})
        for category in (1, 2):
            annotations.append(
                {
                    'id': len(annotations),
                    'image_id': number,
                    'category_id': category,
                    'bbox': [5 + 10 * category, 4, 40, 50],
                    'iscrowd': int(number == 2),
                }
            )
    names = ('Person', 'Car', 'Bicycle', 'OtherVehicle')
    content = {
        'images': images,
        'annotations': annotations,
        'categories': [{'id': i, 'name': name} for i, name in enumerate(names, start=1)],
    }
    (root / 'annotations' / 'val.json').write_text(json.dumps(content))
    return root
