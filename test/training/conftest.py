"""A tiny data set and a tiny model to train."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from tiny import published
import torch

from thermal_perception.models.build import make_model
from thermal_perception.models.record import CheckpointInfo
from thermal_perception.preprocess import Preprocess, PreprocessConfig
from training.augment import AugmentConfig
from training.config import OptimiserConfig, TrainingConfig
from training.datasets import DataFolder, DatasetConfig
from training.engine import Trainer
from training.fusion_detr.task import FusionDetrTask
from training.samples import TrainingSamples

CLASSES = ('person', 'car')
FAST = {'warmup_steps': 2, 'lr': 1e-3}
TINY = published(CLASSES)


@pytest.fixture(autouse=True)
def steady(one_thread_and_seed, small_backbones):
    """Every test here computes."""


def write_coco(folder, scenes, *, split='train', names=None, crowd=()):
    """Write images with their boxes: a list of (image, boxes xyxy, labels) per file."""
    (folder / 'images' / split).mkdir(parents=True, exist_ok=True)
    (folder / 'annotations').mkdir(exist_ok=True)
    content = {
        'images': [],
        'annotations': [],
        'categories': [{'id': 1, 'name': 'Person'}, {'id': 2, 'name': 'Car'}],
    }
    for n, (image, boxes, labels) in enumerate(scenes):
        name = names[n] if names else f'frame_{n:04d}.png'
        cv2.imwrite(str(folder / 'images' / split / name), image)
        size = {'height': image.shape[0], 'width': image.shape[1]}
        content['images'].append({'id': n + 1, 'file_name': name, **size})
        rows = [(box, int(label) + 1, 0) for box, label in zip(boxes, labels)]
        rows += [(box, 1, 1) for index, box in crowd if index == n]
        for (x1, y1, x2, y2), category, is_crowd in rows:
            content['annotations'].append(
                {
                    'id': len(content['annotations']) + 1,
                    'image_id': n + 1,
                    'category_id': category,
                    'bbox': [float(x1), float(y1), float(x2 - x1), float(y2 - y1)],
                    'area': float((x2 - x1) * (y2 - y1)),
                    'iscrowd': is_crowd,
                }
            )
    (folder / 'annotations' / f'{split}.json').write_text(json.dumps(content))
    return folder


def draw_scene(rng, size=64):
    """Draw three warm shapes on a cool, noisy ground: flat and bright, or tall and dimmer."""
    image = rng.normal(70, 6, (size, size))
    boxes, labels = [], []
    while len(boxes) < 3:
        label = int(rng.integers(2))
        height, width = (0.3, 0.12) if label == 0 else (0.16, 0.34)
        height, width = (int(s * size * rng.uniform(0.8, 1.2)) for s in (height, width))
        x, y = int(rng.integers(size - width)), int(rng.integers(size - height))
        box = (x, y, x + width, y + height)
        if all(box[2] < b[0] or b[2] < box[0] or box[3] < b[1] or b[3] < box[1] for b in boxes):
            image[y : box[3], x : box[2]] = 230 if label == 0 else 190
            boxes.append(box)
            labels.append(label)
    return image.clip(0, 255).astype(np.uint8), np.array(boxes, np.float32), np.array(labels)


@pytest.fixture
def scenes():
    """Return four synthetic thermal images with boxes and labels."""
    rng = np.random.default_rng(0)
    return [draw_scene(rng) for _ in range(4)]


@pytest.fixture
def coco(tmp_path, scenes):
    return write_coco(tmp_path / 'set', scenes)


@pytest.fixture
def write():
    return write_coco


@pytest.fixture
def make_samples(coco):
    def make(**changes):
        folder = DataFolder(DatasetConfig(str(coco)), CLASSES)
        augment = AugmentConfig(crop_size=(64, 64), **changes)
        return TrainingSamples([folder], augment, Preprocess(PreprocessConfig()), seed=0)

    return make


@pytest.fixture
def make_trainer(tmp_path, make_samples):
    """Return a function that builds a trainer of a tiny model in a folder of its own."""

    def make(run='run', *, model=None, evaluate=None, optimiser=None, **changes):
        config = TrainingConfig(
            **{
                'model': 'tiny',
                'train': (DatasetConfig('set'),),
                'dev': (),
                'epochs': 2,
                'batch': 2,
                'optimiser': OptimiserConfig(**{**FAST, **(optimiser or {})}),
                **changes,
            }
        )
        network = {**TINY, **(model or {})}
        torch.manual_seed(config.seed)
        info = CheckpointInfo('tiny', 'fusion_detr', network, {}, CLASSES)
        return Trainer(
            FusionDetrTask.make(make_model('fusion_detr', network, where='test'), info, config),
            make_samples(),
            config,
            info,
            tmp_path / run,
            evaluate=evaluate,
        )

    return make
