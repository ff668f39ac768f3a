"""The network with its losses on one batch, and a run that chooses weights by mIoU."""

from __future__ import annotations

import argparse
from dataclasses import replace
import json

import cv2
import numpy as np
from numpy.testing import assert_allclose
import pytest
from tiny import rgbt
import torch
import yaml

from thermal_perception.class_sets import MFNET
from thermal_perception.errors import ConfigError
from thermal_perception.models.build import make_model
from thermal_perception.models.checkpoint import load_checkpoint
from thermal_perception.models.record import CheckpointInfo
from thermal_perception.preprocess import PreprocessConfig
from training import fit
from training.config import TrainingConfig
from training.datasets import DataFolder, DatasetConfig
from training.rgbt_segmentation.task import RgbtSegmentationTask
from training.samples import collate, Sample
from training.task import Sealed

SIZE = (64, 64)
NAMES = ('unlabeled', 'car', 'person')


@pytest.fixture(scope='module')
def task():
    """Return a task whose network and losses no test changes."""
    return make_task()


def make_task(loss=None, names=NAMES):
    torch.manual_seed(0)
    settings = rgbt(names, dropout=0.0)
    config = TrainingConfig('tiny', (DatasetConfig('set'),), (), loss=loss or {})
    info = CheckpointInfo('tiny', 'rgbt_segmentation', settings, {}, names)
    network = make_model('rgbt_segmentation', settings, where='test')
    return RgbtSegmentationTask.make(network, info, config).train()


def make_batch(*, size=SIZE, rgb_seed=1, **changes):
    """Return two pairs in which a warm square is a car, and above it a person."""
    rng = np.random.default_rng(0)
    thermal = rng.uniform(0.1, 0.3, size).astype(np.float32)
    rgb = np.random.default_rng(rgb_seed).uniform(0.2, 0.4, (*size, 3)).astype(np.float32)
    mask = np.zeros(size, np.uint8)
    thermal[20:50, 10:40], mask[20:50, 10:40], mask[4:20, 16:24] = 0.9, 1, 2
    empty = np.zeros((0, 4), np.float32), np.zeros(0, np.int64)
    sample = Sample(thermal, *empty, rgb, mask)
    samples = [sample, replace(sample, **changes)]
    return collate(samples, PreprocessConfig(pad_multiple=32))


def losses_of(task, batch):
    return {k: v.item() for k, v in task(Sealed(batch)).losses.items()}


def test_a_batch_gives_every_term_and_what_the_fusion_does(task):
    terms = task(Sealed(make_batch()))
    assert set(terms.losses) == {'ce', 'dice', 'lovasz', 'auxiliary', 'deep'}
    assert all(value.item() > 0 for value in terms.losses.values())
    assert set(terms.seen) == {'rgb_confidence', 'low_share', 'rgb_gate', 'thermal_gate'}
    assert all(0 < float(value) < 1 for value in terms.seen.values())


def test_gradients_reach_all_that_is_trained():
    task = make_task()
    torch.stack(list(task(Sealed(make_batch())).losses.values())).sum().backward()
    without = [n for n, p in task.model.named_parameters() if p.requires_grad and p.grad is None]
    assert without == []


def test_helpers_weigh_less_in_later_epochs(task):
    batch = make_batch()
    first = losses_of(task, batch)
    task.epoch = 80
    last = losses_of(task, batch)
    task.epoch = 0
    assert_allclose(last['ce'], first['ce'], rtol=1e-4)
    for helper in ('auxiliary', 'deep'):
        assert_allclose(last[helper] / first[helper], 0.05 / 0.3, rtol=1e-4)


def test_unknown_pixels_cost_nothing(task):
    batch = make_batch()
    unknown = batch._replace(masks=torch.full_like(batch.masks, 255))
    assert set(losses_of(task, unknown).values()) == {0.0}


def test_a_missing_camera_shows_nothing_whatever_its_image_holds(task):
    one = make_batch(missing='rgb')
    other = make_batch(missing='rgb', rgb_seed=2)
    with torch.no_grad():
        task.model.eval()
        seen = [task.model(b.thermal, b.rgb, present=b.present).logits for b in (one, other)]
        task.model.train()
    assert not torch.equal(seen[0][0], seen[1][0])
    assert torch.equal(seen[0][1], seen[1][1])


def test_without_label_images_it_says_so(task):
    with pytest.raises(ValueError, match='found no label images'):
        task(Sealed(make_batch()._replace(masks=None)))


@pytest.fixture
def msrs(tmp_path):
    """Write three pairs of 64 x 96 pixels with label images, warm cars on a cold ground."""
    rng = np.random.default_rng(0)
    for split, names in (('train', ('00001D', '00002N')), ('test', ('00003N',))):
        for name in names:
            thermal = rng.integers(40, 60, (64, 96)).astype(np.uint8)
            labels = np.zeros((64, 96), np.uint8)
            thermal[16:48, 24:72], labels[16:48, 24:72] = 220, 1
            pictures = {'ir': thermal, 'vi': np.stack([thermal] * 3, -1)}
            for kind, picture in {**pictures, 'Segmentation_labels': labels}.items():
                (tmp_path / 'msrs' / split / kind).mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(tmp_path / 'msrs' / split / kind / f'{name}.png'), picture)
    return tmp_path


def test_classes_weigh_by_their_pixels_in_the_training_set(msrs):
    task = make_task({'count_classes': True, 'boosts': {'car': 1.2}}, MFNET.names)
    pictures = ('thermal', 'rgb', 'mask')
    config = DatasetConfig('msrs', layout='msrs')
    folder = DataFolder(config, MFNET.names, msrs, pictures=pictures)
    task.look_at([folder])
    # 32 x 48 of 64 x 96 pixels are car, a quarter: the rarest class weighs 10, ground a third
    assert_allclose(task.class_weights, [10 / 3, 12, 1, 1, 1, 1, 1, 1, 1])


def test_a_boost_for_a_class_that_is_not_there_is_refused():
    with pytest.raises(ConfigError, match='boosts: found bump, expected some of unlabeled, car'):
        make_task({'boosts': {'bump': 1.3}})


def arguments(data, **changes):
    """Return what `fit` gets from its command line."""
    values = {
        'model': 'rgbt_lite',
        'model_options': rgbt(MFNET.names, reduction=1),
        'train': [{'directory': 'msrs', 'layout': 'msrs'}],
        'dev': [{'directory': 'msrs', 'layout': 'msrs', 'split': 'test'}],
        'epochs': 1,
        'batch': 2,
        'augment': {'crop_size': [64, 64], 'drop_rgb': 0.5},
        'optimiser': {'recipe': 'own', 'ema_decay': 0.5},
        **changes,
    }
    (data / 'run.yaml').write_text(yaml.safe_dump(values))
    parser = argparse.ArgumentParser()
    fit.add_arguments(parser)
    return parser.parse_args(
        ['--config', str(data / 'run.yaml'), '--data', str(data), '--output', str(data / 'run')]
    )


def test_a_run_is_scored_by_miou_and_takes_its_own_rates(msrs, capsys):
    assert fit.run(arguments(msrs)) == 0
    rows = [json.loads(line) for line in (msrs / 'run' / 'log.jsonl').read_text().splitlines()]
    dev = next(row['dev'] for row in rows if 'dev' in row)
    assert 0 <= dev['mIoU'] <= 1
    assert dev['pixels'] == 64 * 96
    assert next(row['lr'] for row in rows if 'step' in row) == 0.1  # warm-up of the recipe
    assert (msrs / 'run' / 'best.safetensors').exists()
    assert 'done after 1 epochs' in capsys.readouterr().out


def test_fact_20_weights_of_a_run_are_averages_with_the_live_statistics(msrs):
    rates = {'recipe': 'own', 'ema_decay': 0.999, 'ema': 'constant'}
    assert fit.run(arguments(msrs, dev=[], optimiser=rates)) == 0  # a step
    torch.manual_seed(0)
    first = make_model('rgbt_segmentation', rgbt(MFNET.names, reduction=1), where='test')
    state = torch.load(msrs / 'run' / 'last.pt', weights_only=True)
    live, average = state['model'], state['average']
    saved = load_checkpoint(msrs / 'run' / 'last.safetensors').state
    assert not torch.equal(live['decoder.main.conv.norm.running_mean'], torch.zeros(8))
    trained = {name for name, _ in first.named_parameters()}
    for name, before in first.state_dict().items():
        expected = 0.999 * before + 0.001 * live[name] if name in trained else live[name]
        assert_allclose(average[name], expected, rtol=1e-6, atol=1e-9, err_msg=name)
        assert_allclose(saved[name], average[name], rtol=1e-3, atol=1e-6)  # in half precision


def test_label_images_of_other_classes_than_the_models_are_refused(msrs):
    options = rgbt(('ground', 'car'))
    with pytest.raises(ConfigError, match='found label images of unlabeled, car, .*bump; '):
        fit.run(arguments(msrs, model_options=options))
