"""EMIFF learns, and is scored as the robots would be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from thermal_perception.preprocess import ViewConfig, ViewPreprocess
from training.config import OptimiserConfig, TrainingConfig
from training.datasets import DatasetConfig
from training.emiff import data
from training.emiff.augment import CooperativeAugmentConfig
from training.emiff.losses import EmiffLossConfig
from training.emiff.samples import CooperativeSamples
from training.emiff.task import EmiffTask, rounded
from training.engine import Trainer
from training.task import Sealed

NO_DROPS = EmiffLossConfig(drop_infra=0.0, drop_ego=0.0)


@pytest.fixture
def samples(v2x, tiny_emiff):
    model, info = tiny_emiff()
    preprocess = ViewPreprocess(ViewConfig(tuple(info.preprocess['resize_to']), 32))
    return CooperativeSamples(
        [(v2x, 'train')], CooperativeAugmentConfig(), preprocess, model.config.grid, seed=0
    )


def test_rounding_lets_gradients_through():
    z = torch.tensor([0.0, 0.3, 1.0, 2.55]).reshape(1, 1, 2, 2).requires_grad_()
    out = rounded(z)
    assert out.flatten().tolist() == pytest.approx([0.0, 0.30, 1.0, 2.55], abs=0.0051)
    out.sum().backward()
    assert z.grad.flatten().tolist() == [1, 1, 1, 1]
    assert torch.equal(rounded(torch.zeros(1, 2, 2, 2)), torch.zeros(1, 2, 2, 2))


def test_one_batch_is_learned(samples, tiny_emiff):
    torch.manual_seed(0)
    task = EmiffTask(tiny_emiff()[0], NO_DROPS).train()
    batch = samples.batch(samples.order(0)[:2], epoch=0, first=0)
    assert sum(len(t.boxes) for t in batch.targets) > 2
    optimiser = torch.optim.AdamW(task.parameters(), lr=1e-2)
    totals = []
    for _ in range(36):
        loss = sum(task(Sealed(batch)).losses.values())
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(task.parameters(), 35.0)
        optimiser.step()
        totals.append(float(loss.detach()))
    assert sum(totals[-5:]) < 0.3 * sum(totals[:5])


@pytest.mark.parametrize(
    ('dropped', 'idle'),
    [('drop_infra', 'infrastructure'), ('drop_ego', 'vehicle.encoder')],
)
def test_a_side_that_is_left_out_learns_nothing(samples, tiny_emiff, dropped, idle):
    options = {'drop_infra': 0.0, 'drop_ego': 0.0, dropped: 1.0}
    task = EmiffTask(tiny_emiff()[0], EmiffLossConfig(**options)).train()
    batch = samples.batch(samples.order(0)[:2], epoch=0, first=0)
    sum(task(Sealed(batch)).losses.values()).backward()
    part = task.model.get_submodule(idle)
    assert all(p.grad is None for p in part.parameters())
    assert any(p.grad is not None for p in task.model.vehicle.neck.parameters())


@pytest.mark.parametrize('dropped', [{}, {'drop_infra': 1.0}, {'drop_ego': 1.0}])
def test_outlines_are_asked_of_the_cameras_there_are(samples, tiny_emiff, dropped):
    batch = samples.batch(samples.order(0)[:2], epoch=0, first=0)
    assert batch.ego_outline.shape == (2, 3, 16, 32)
    assert 0 < batch.infra_outline[:, 0].mean() < 0.5
    model = tiny_emiff()[0]

    def losses(weight):
        options = {'drop_infra': 0.0, 'drop_ego': 0.0, **dropped, 'outline_weight': weight}
        torch.manual_seed(0)
        return EmiffTask(model, EmiffLossConfig(**options)).eval()(Sealed(batch)).losses

    once, twice, without = losses(1.0), losses(2.0), losses(0.0)
    assert 0 < once['outline'] < 2
    torch.testing.assert_close(twice['outline'], 2 * once['outline'])
    assert set(without) == {'class', 'box', 'direction'}


def test_a_run_is_scored_with_both_cameras_and_with_one(samples, v2x, tiny_emiff, tmp_path):
    model, info = tiny_emiff()
    source = DatasetConfig(v2x.name, layout='dair', split='dev')
    config = TrainingConfig(
        'tiny', (source,), (source,), epochs=1, batch=2,
        optimiser=OptimiserConfig(lr=1e-3, warmup_steps=0, clip_norm=35.0, ema_decay=0.9),
    )  # fmt: skip
    frames = data.dev_frames(config, v2x.parent)
    assert len(frames) == 2

    def evaluate(state):
        from tiny import small_backbones

        with small_backbones():
            return data.evaluate(state, frames, info, 'cpu')

    trainer = Trainer(
        EmiffTask.make(model, info, config), samples, config, info, tmp_path / 'run',
        evaluate=evaluate, metric='AP3D_50',
    )  # fmt: skip
    assert trainer.fit() == 'finished'
    rows = [json.loads(line) for line in (tmp_path / 'run' / 'log.jsonl').open()]
    dev = next(row['dev'] for row in rows if 'dev' in row)
    assert set(dev) >= {'AP3D_50', 'APBEV_50', 'ego', 'infra', 'by_band'}
    assert set(dev['ego']['by_band']['AP3D_50']) == {'all', '0-30', '30-50', '50-100'}
    assert Path(tmp_path / 'run' / 'last.safetensors').is_file()
