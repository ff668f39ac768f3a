"""Both tasks on one batch: what counts for which, aligned steps, and that it learns at all."""

from __future__ import annotations

from dataclasses import replace
import json
from types import SimpleNamespace

import numpy as np
import pytest
from tiny import e2e_mfd
import torch

from thermal_perception.errors import ConfigError
from thermal_perception.models.build import make_model
from thermal_perception.models.record import CheckpointInfo
from thermal_perception.preprocess import PreprocessConfig
from thermal_perception.types import Frame, FrameSet
from training.augment import AugmentConfig
from training.config import OptimiserConfig, TrainingConfig
from training.datasets import DatasetConfig
from training.e2e_mfd.task import E2eMfdTask
from training.engine import Trainer
from training.fit import evaluate
from training.samples import collate, Sample
from training.task import Sealed

CLASSES = ('person', 'car')
SIZE = (64, 96)
LIVELY = {
    'fusion': {'fidelity_weight': 1.0},
    'multitask': {'every': 2},
}


def make_sample(seed, **changes):
    """Return a pair in which a warm box stands before a bright striped ground."""
    rng = np.random.default_rng(seed)
    thermal = rng.uniform(0.1, 0.3, SIZE).astype(np.float32)
    rgb = np.repeat(rng.uniform(0.2, 0.4, (*SIZE, 1)), 3, axis=2).astype(np.float32)
    rgb[:, ::8] = 0.8
    x, y = int(rng.integers(4, 60)), int(rng.integers(4, 30))
    thermal[y : y + 24, x : x + 20] = 0.9
    boxes = np.array([[x, y, x + 20, y + 24]], np.float32)
    return replace(Sample(thermal, boxes, np.array([seed % 2]), rgb), **changes)


def make_batch(samples):
    return collate(samples, PreprocessConfig(pad_multiple=32))


class FixedSamples:
    """Stands for `TrainingSamples`: the same few samples in every epoch."""

    def __init__(self, samples, per_epoch):
        self.samples, self.per_epoch = samples, per_epoch

    def order(self, epoch):
        return [(0, n % len(self.samples)) for n in range(self.per_epoch)]

    def batch(self, pairs, *, epoch, first):
        return make_batch([self.samples[n] for _, n in pairs])


def make_task(loss=None, **network):
    torch.manual_seed(0)
    settings = {**e2e_mfd(CLASSES), **network}
    config = make_config(loss)
    info = CheckpointInfo('tiny', 'e2e_mfd', settings, {}, CLASSES)
    return E2eMfdTask.make(make_model('e2e_mfd', settings, where='test'), info, config), info


def make_config(loss=None, **changes):
    values = {
        'model': 'tiny',
        'train': (DatasetConfig('set'),),
        'dev': (),
        'epochs': 1,
        'batch': 2,
        'loss': loss or {},
        'optimiser': OptimiserConfig(lr=1e-3, backbone_lr=1e-3, warmup_steps=0, clip_norm=1.0),
    }
    return TrainingConfig(**{**values, **changes})


def make_trainer(tmp_path, samples, steps, loss=None, network=None, **changes):
    task, info = make_task(loss, **(network or {}))
    config = make_config(loss, **changes)
    return Trainer(task, FixedSamples(samples, steps * config.batch), config, info, tmp_path)


def test_both_tasks_have_terms_with_gradients():
    task, _ = make_task()
    terms = task.train()(Sealed(make_batch([make_sample(0), make_sample(1)])))
    assert {name.split('/')[0] for name in terms.losses} == {'fusion', 'detection'}
    assert all(v.requires_grad and v > 0 for v in terms.losses.values())
    fusion, detection = task.by_task(terms.losses)
    torch.testing.assert_close(fusion + detection, torch.stack(list(terms.losses.values())).sum())
    assert 0 < float(terms.seen['weight_thermal']) < 1


def test_pairs_without_labels_teach_fusion_alone():
    task, _ = make_task()
    unknown = make_sample(1, labelled=False)
    terms = task.train()(Sealed(make_batch([unknown, unknown]))).losses
    assert {n for n in terms if n.startswith('detection')} == {'detection/none'}
    assert terms['detection/none'].item() == 0
    assert terms['fusion/ssim'] > 0


def test_samples_without_a_camera_teach_detection_alone():
    task, _ = make_task()
    blind = make_sample(0, missing='rgb', rgb=np.zeros((*SIZE, 3), np.float32))
    terms = task.train()(Sealed(make_batch([blind, blind]))).losses
    assert {n for n in terms if n.startswith('fusion')} == {'fusion/none'}
    assert terms['detection/class'] > 0


def test_a_camera_that_no_sample_has_is_not_looked_at():
    task, _ = make_task()
    blind = make_sample(0, missing='rgb', rgb=np.full((*SIZE, 3), np.nan, np.float32))
    losses = task.train()(Sealed(make_batch([blind, blind]))).losses
    torch.stack(list(losses.values())).sum().backward()
    wanted = [p for p in task.parameters() if p.requires_grad]
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in wanted)


def test_a_mixed_batch_counts_each_sample_where_it_belongs():
    torch.manual_seed(5)
    task, _ = make_task()
    whole = make_sample(0)
    blind = make_sample(1, missing='rgb', rgb=np.zeros((*SIZE, 3), np.float32), labelled=False)
    torch.manual_seed(3)
    mixed = task.eval()(Sealed(make_batch([whole, blind]))).losses
    torch.manual_seed(3)
    alone = task(Sealed(make_batch([whole]))).losses
    for name in ('fusion/ssim', 'fusion/pixel', 'fusion/gradient'):
        torch.testing.assert_close(mixed[name], alone[name], atol=1e-4, rtol=1e-3)


def test_thermal_images_alone_are_refused():
    task, _ = make_task()
    with pytest.raises(ValueError, match='found thermal images alone, expected pairs'):
        task(Sealed(make_batch([make_sample(0, rgb=None)])))


def test_colour_alone_for_laterals_that_start_at_zero_is_refused():
    settings = {**e2e_mfd(CLASSES), 'own_laterals': True}
    info = CheckpointInfo('tiny', 'e2e_mfd', settings, {}, CLASSES)
    alone = replace(make_config(None), augment=AugmentConfig(drop_thermal=1.0))
    with pytest.raises(ConfigError, match='expected model_options.own_laterals: false'):
        E2eMfdTask.make(make_model('e2e_mfd', settings, where='test'), info, alone)


def test_unknown_options_of_the_losses_are_refused():
    with pytest.raises(ConfigError, match="loss: unknown key 'fussion', did you mean 'fusion'"):
        make_task({'fussion': {}})


def rows_of(folder):
    lines = (folder / 'log.jsonl').read_text().splitlines()
    return [row for row in map(json.loads, lines) if 'step' in row]


def test_gradients_are_aligned_when_due_and_measured(tmp_path):
    trainer = make_trainer(tmp_path, [make_sample(0), make_sample(1)], 5, LIVELY)
    trainer.fit()
    rows = rows_of(tmp_path)
    assert [row['step'] for row in rows if 'k_fusion' in row] == [2, 4]
    aligned = rows[2]
    assert aligned['norm_fusion'] > 0
    assert aligned['norm_detection'] > 0
    assert -1 <= aligned['cosine'] <= 1
    assert aligned['condition_after'] == pytest.approx(1, abs=1e-3)
    assert aligned['condition_before'] > 1
    assert aligned['skipped'] is False


def gradients_of_a_step(tmp_path, method, parts=1):
    """Return the gradients, by name, of step 2, which is aligned unless the method is `sum`."""
    loss = {'multitask': {'method': method, 'every': 2 if method != 'sum' else 1000}}
    optimiser = OptimiserConfig(lr=0.0, backbone_lr=0.0, warmup_steps=0, clip_norm=1e9)
    trainer = make_trainer(
        tmp_path, [make_sample(0), make_sample(1)], 3, loss, optimiser=optimiser
    )
    seen = []

    def note(*_):
        seen.append(
            {n: p.grad.clone() for n, p in trainer.model.named_parameters() if p.grad is not None}
        )

    trainer.optimiser.register_step_pre_hook(note)
    trainer.fit()
    return seen[2]


def test_an_aligned_step_changes_the_gradients_of_shared_parameters_alone(tmp_path):
    plain = gradients_of_a_step(tmp_path / 'plain', 'sum')
    aligned = gradients_of_a_step(tmp_path / 'aligned', 'gmta')
    assert plain.keys() == aligned.keys()
    shared = {name for name in plain if name.startswith(('backbone.', 'pyramid.'))}
    for name in plain.keys() - shared:
        torch.testing.assert_close(aligned[name], plain[name], atol=1e-6, rtol=1e-3)
    before, after = (torch.cat([g[n].flatten() for n in sorted(shared)]) for g in (plain, aligned))
    assert (after - before).norm() > 0.05 * before.norm()
    assert after.norm() < before.norm()  # its length is that of the weaker direction
    assert any(n.startswith('backbone.') for n in plain)
    assert any(n.startswith('orppt.pixels') for n in plain)


def test_a_resumed_run_aligns_the_same_steps(tmp_path):
    whole = make_trainer(tmp_path / 'whole', [make_sample(0), make_sample(1)], 4, LIVELY, epochs=2)
    whole.fit()
    cut = make_trainer(tmp_path / 'cut', [make_sample(0), make_sample(1)], 4, LIVELY, epochs=2)
    cut._epoch(0, type('Never', (), {'asked': False})())
    cut.progress.epoch, cut.progress.step = 1, 0
    cut._finish_epoch()
    cut.folder.close()
    again = make_trainer(tmp_path / 'cut', [make_sample(0), make_sample(1)], 4, LIVELY, epochs=2)
    assert again.resume()
    again.fit()
    clock = ('total_s', 'data_s', 'model_s')
    plain = [
        [{k: v for k, v in row.items() if k not in clock} for row in rows_of(tmp_path / n)]
        for n in ('whole', 'cut')
    ]
    assert plain[0] == plain[1]


LEARNER = {
    'backbone': 'convnextv2_atto',
    'freeze_early': False,
    'pyramid_width': 64,
    'detection': {
        'proposals': 16,
        'stages': 3,
        'num_heads': 4,
        'dynamic_width': 16,
        'ffn_dim': 64,
        'time_dim': 32,
        'roi_size': 4,
    },
}


class TwoPairs:
    """Stands for `DataFolder`: two pairs of 64 x 64 pixels with three large objects each.

    Both cameras show the same smooth ground. That leaves a low floor to the loss of the fused
    image: where its sources differ it cannot resemble both. Objects are warm, and coloured.
    """

    pictures = ('rgb',)
    labelled = True
    records = (SimpleNamespace(image_id=0), SimpleNamespace(image_id=1))
    boxes = np.array(
        [
            [[4, 6, 24, 34], [30, 36, 50, 60], [34, 4, 60, 22]],
            [[38, 4, 58, 32], [4, 8, 30, 26], [8, 36, 34, 54]],
        ],
        np.float32,
    )
    labels = np.array([[0, 0, 1], [0, 1, 1]])

    def frames(self, index):
        y, x = np.indices((64, 64))
        thermal = 110 + 40 * np.sin(x / 20 + index) * np.cos(y / 17)
        bgr = np.repeat(thermal[..., None], 3, axis=2)
        for (x1, y1, x2, y2), label in zip(self.boxes[index].astype(int), self.labels[index]):
            thermal[y1:y2, x1:x2] = (240, 215)[label]
            bgr[y1:y2, x1:x2] = ((50, 60, 200), (190, 80, 50))[label]
        return FrameSet(
            Frame(thermal.astype(np.uint8), 0, '', 'thermal', 'mono8', valid_bits=8),
            Frame(bgr.astype(np.uint8), 0, '', 'rgb', 'bgr8', valid_bits=8),
        )

    def sample(self, index):
        """Return a pair as training sees it."""
        frames = self.frames(index)
        thermal, bgr = (f.image.astype(np.float32) / 255 for f in (frames.thermal, frames.rgb))
        return Sample(thermal, self.boxes[index], self.labels[index], bgr[..., ::-1].copy())

    def truth(self):
        rows = [
            (i, label + 1, [*box[:2], *(box[2:] - box[:2])])
            for i in (0, 1)
            for box, label in zip(self.boxes[i], self.labels[i])
        ]
        return {
            'images': [{'id': 0}, {'id': 1}],
            'categories': [{'id': i + 1, 'name': name} for i, name in enumerate(CLASSES)],
            'annotations': [
                {'id': n, 'image_id': i, 'category_id': int(k), 'bbox': [float(v) for v in box]}
                for n, (i, k, box) in enumerate(rows, start=1)
            ],
        }


def scores_of(trainer, pairs):
    """Return the loss of the fused image, and mAP50 of what the weights detect on a robot."""
    task, batch = trainer.task.eval(), make_batch([pairs.sample(0), pairs.sample(1)])
    with torch.no_grad():
        fusion, _ = task.by_task(task(Sealed(batch)).losses)
    record = replace(trainer.info, suppress_iou=0.5)
    metrics = evaluate(trainer.model.state_dict(), [pairs], record, 'cpu')
    return float(fusion), metrics['mAP50']


@pytest.mark.timeout(1200)  # 25 s of processor time; much longer beside other work
def test_two_pairs_can_be_learned_by_heart(tmp_path):
    pairs = TwoPairs()
    optimiser = OptimiserConfig(
        lr=1.5e-3, backbone_lr=1.5e-3, warmup_steps=10, clip_norm=10.0, schedule='cosine'
    )
    trainer = make_trainer(
        tmp_path,
        [pairs.sample(0), pairs.sample(1)],
        240,
        {'multitask': {'every': 50}},
        LEARNER,
        batch=4,  # both pairs twice, each time with other noise
        optimiser=optimiser,
    )
    # Untrained, the fused image is about the mean, which is close to the best here.
    torch.nn.init.constant_(trainer.model.orppt.weigh.bias, -3.0)
    fusion, mean_average_precision = scores_of(trainer, pairs)
    assert mean_average_precision < 0.3
    trainer.fit()
    learned, mean_average_precision = scores_of(trainer, pairs)
    assert learned < fusion / 5
    assert mean_average_precision > 0.9
